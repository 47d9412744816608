# Targets for tests, demo and benchmarks; included by the Makefile.

# The tools the build itself needs may be missing on a new machine, so these start make again.
demo: deps
	$(V)$(MAKE) --no-print-directory all
	$(V)node examples/demo.mjs

test: deps
	$(V)$(MAKE) --no-print-directory all unit-tests
	$(V)node tests/run.mjs

UNIT := $(patsubst tests/unit/test_%.c,$(B)/unit/%,$(wildcard tests/unit/test_*.c))
unit-tests: $(UNIT)
$(B)/unit/%: tests/unit/test_%.c tests/unit/test.h $(LIBZ8)
	@mkdir -p $(@D)
	$(V)$(CC) $(CFLAGS) $(CPPFLAGS) -Itests/unit $(LDFLAGS) -o $@ $< $(LIBZ8) $(LIBS)

.PHONY: demo test unit-tests
