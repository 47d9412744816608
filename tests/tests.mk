# Targets for tests, demo, fuzzing and benchmarks; included by the Makefile.

JOBS ?= 2

# The tools the build itself needs may be missing on a new machine, so these start make again.
demo: deps
	$(V)$(MAKE) --no-print-directory -j$(JOBS) all
	$(V)node examples/demo.mjs

test: deps
	$(V)$(MAKE) --no-print-directory -j$(JOBS) all unit-tests
	$(V)$(MAKE) --no-print-directory -j$(JOBS) MODE=debug fuzz-smoke
	$(V)node tests/run.mjs $(if $(UPDATE),--update)

tidy:
	$(V)node tests/run.mjs tidy

# Everything again under the sanitizers, hostile to assumptions, with threads watched, and with the other compiler.
check: test
	$(V)sh tests/deps.sh check
	$(V)for mode in debug hostile clang tsan; do \
	  $(MAKE) --no-print-directory -j$(JOBS) MODE=$$mode all || exit 1; \
	  echo "== $$mode"; slow=1; if [ $$mode = tsan ]; then slow=10; fi; \
	  SLOW=$$slow Z8=$(CURDIR)/build/$$mode/z8 node tests/run.mjs lang given testing diagnostics || exit 1; done
	$(V)$(MAKE) --no-print-directory headers

# Each header compiles alone.
headers:
	$(V)for h in $$(find lang vm compiler -name '*.h' ! -name banned.h ! -name interp_body.h); do \
	  $(CC) -std=c11 $(CPPFLAGS) -fsyntax-only -x c $$h || exit 1; done

SUPPORT := $(wildcard tests/support/*.c)
UNIT := $(patsubst tests/unit/test_%.c,$(B)/unit/%,$(wildcard tests/unit/test_*.c))
unit-tests: $(UNIT)
$(B)/unit/%: tests/unit/test_%.c tests/unit/test.h $(SUPPORT) $(LIBZ8)
	@mkdir -p $(@D)
	@echo "  test $*"
	$(V)$(CC) $(CFLAGS) $(CPPFLAGS) -Itests/unit $(LDFLAGS) -o $@ $< $(SUPPORT) $(LIBZ8) $(LIBS)

FUZZ := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
fuzz-smoke: $(FUZZ:%=$(B)/fuzz/fuzz_%)
$(B)/fuzz/fuzz_%: tests/fuzz/fuzz_%.c tests/fuzz/smoke_main.c $(LIBZ8)
	@mkdir -p $(@D)
	@echo "  fuzz $*"
	$(V)$(CC) $(CFLAGS) -Wno-missing-prototypes $(CPPFLAGS) $(LDFLAGS) -o $@ $< tests/fuzz/smoke_main.c $(LIBZ8) $(LIBS)

# make fuzz FOR=600: every target under libFuzzer, one after the other, FOR seconds each.
FOR ?= 60
fuzz:
	$(V)sh tests/deps.sh check
	$(V)$(MAKE) --no-print-directory -j$(JOBS) MODE=fuzz libfuzzer-targets
	$(V)for t in $(FUZZ); do mkdir -p build/fuzz/corpus/$$t; echo "== $$t"; \
	  build/fuzz/libfuzzer/fuzz_$$t -max_total_time=$(FOR) -timeout=20 -rss_limit_mb=3000 -max_len=65536 \
	    build/fuzz/corpus/$$t $$(ls -d tests/fuzz/corpus/$$t 2>/dev/null) 2>&1 | tail -n 3 || exit 1; done
libfuzzer-targets: $(FUZZ:%=$(B)/libfuzzer/fuzz_%)
$(B)/libfuzzer/fuzz_%: tests/fuzz/fuzz_%.c $(LIBZ8)
	@mkdir -p $(@D)
	$(V)$(CC) $(CFLAGS) -Wno-missing-prototypes $(CPPFLAGS) $(LDFLAGS) -fsanitize=fuzzer -o $@ $< $(LIBZ8) $(LIBS)

bench: deps
	$(V)sh tests/deps.sh bench
	$(V)$(MAKE) --no-print-directory -j$(JOBS) all bench-programs
	$(V)node tests/bench/bench.mjs $(PART)
BENCH := $(patsubst tests/bench/bench_%.c,$(B)/bench/bench_%,$(wildcard tests/bench/bench_*.c))
bench-programs: $(BENCH)
$(B)/bench/%: tests/bench/%.c $(wildcard tests/bench/*.h) $(LIBZ8)
	@mkdir -p $(@D)
	$(V)$(CC) $(CFLAGS) $(CPPFLAGS) $(LDFLAGS) -o $@ $< $(LIBZ8) $(LIBS)

.PHONY: demo test tidy check headers unit-tests fuzz-smoke fuzz libfuzzer-targets bench bench-programs
