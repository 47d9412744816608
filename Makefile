LAYERS := lang vm/base vm/bundle compiler vm/core vm/store vm/journal vm/run vm/effects vm/runtime vm/cli

# make            builds build/z8
# make demo       installs what is missing, builds, plays the main job
# make test       installs what is missing, builds, runs every test
# make check      what CI runs and more: both compilers, sanitizers, hostile and thread builds, fuzz smoke
# make bench      side-by-side ratios      make install PREFIX=/usr/local      make clean
# MODE=release|debug|hostile|tsan|clang chooses a build; all of it goes below build/MODE (release: build)

MODE ?= release
PREFIX ?= /usr/local
V ?= @
ifeq ($(MODE),release)
B ?= build
else
B ?= build/$(MODE)
endif
GEN := build/gen
CC := gcc

WARN := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla -Werror
PACKAGES := sqlite3 libcurl libffi libcrypto
CPPFLAGS := -I. -Icompiler/front -I$(GEN) -D_GNU_SOURCE $(shell pkg-config --cflags $(PACKAGES) 2>/dev/null)
LIBS := -Wl,--as-needed $(shell pkg-config --libs $(PACKAGES) 2>/dev/null) -lmpfr -lgmp -lutf8proc -lm -lpthread -ldl
CFLAGS_BASE := -std=c11 -ffp-contract=off -fno-strict-aliasing -g $(WARN)
ifeq ($(MODE),release)
CFLAGS := $(CFLAGS_BASE) -O2 -fno-plt
else ifeq ($(MODE),clang)
CC := clang
CFLAGS := $(CFLAGS_BASE) -O2
else ifeq ($(MODE),debug)
CFLAGS := $(CFLAGS_BASE) -O1 -DZ8_DEBUG -DZ8_SWITCH -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
LDFLAGS := -fsanitize=address,undefined
else ifeq ($(MODE),hostile)
CFLAGS := $(CFLAGS_BASE) -O1 -DZ8_DEBUG -DZ8_HOSTILE
else ifeq ($(MODE),tsan)
CFLAGS := $(CFLAGS_BASE) -O1 -DZ8_DEBUG -fsanitize=thread
LDFLAGS := -fsanitize=thread
else ifeq ($(MODE),fuzz)
CC := clang
CFLAGS := $(CFLAGS_BASE) -O1 -DZ8_DEBUG -DZ8_SWITCH -fsanitize=fuzzer-no-link,address,undefined -fno-omit-frame-pointer
LDFLAGS := -fsanitize=address,undefined
else
$(error MODE is one of release debug hostile tsan clang fuzz)
endif

sources = $(foreach layer,$(LAYERS),$(wildcard $(layer)/*.c)) $(wildcard compiler/*/*.c)
GENERATED := $(GEN)/lexer.c $(GEN)/grammar.c $(GEN)/stdlib_data.c
OBJECTS := $(patsubst %.c,$(B)/obj/%.o,$(sources)) $(patsubst $(GEN)/%.c,$(B)/obj/gen/%.o,$(GENERATED))
MAIN := $(B)/obj/vm/cli/main.o
LIBZ8 := $(B)/libz8.a

# Layers below effects may not touch clock, chance or environment: those names do not compile there.
BANNED_LAYERS := compiler vm/bundle vm/core vm/store vm/journal vm/run
banned = $(if $(filter $(addsuffix /%,$(BANNED_LAYERS)),$(1)),-include vm/base/banned.h)

all: $(B)/z8

$(B)/z8: $(MAIN) $(LIBZ8)
	@echo "  link $@"
	$(V)$(CC) $(LDFLAGS) -o $@ $(MAIN) $(LIBZ8) $(LIBS)

$(LIBZ8): $(filter-out $(MAIN),$(OBJECTS))
	$(V)rm -f $@ && ar rcs $@ $^

$(B)/obj/%.o: %.c
	@mkdir -p $(@D)
	@echo "  cc $<"
	$(V)$(CC) $(CFLAGS) $(CPPFLAGS) $(call banned,$<) -MMD -MP -c $< -o $@

$(B)/obj/gen/%.o: $(GEN)/%.c
	@mkdir -p $(@D)
	@echo "  cc $<"
	$(V)$(CC) $(CFLAGS) $(CPPFLAGS) -w -Wno-error -MMD -MP -c $< -o $@

$(GEN)/lexer.c: compiler/front/lexer.re
	@mkdir -p $(@D)
	$(V)re2c -W --no-generation-date -i -o $@ $<

$(GEN)/grammar.c: compiler/front/grammar.y
	@mkdir -p $(@D)
	$(V)lemon -q -d$(GEN) $<

$(GEN)/grammar.h: $(GEN)/grammar.c ;
$(filter $(B)/obj/compiler/%,$(OBJECTS)) $(B)/obj/gen/lexer.o: | $(GEN)/grammar.c

# The standard library's sources travel inside the binary.
STDLIB := $(sort $(wildcard stdlib/*.z8))
$(GEN)/stdlib_data.c: $(STDLIB) Makefile
	@mkdir -p $(@D)
	$(V){ echo '#include "compiler/compile.h"'; \
	for f in $(STDLIB); do n=$$(basename $$f .z8); \
	  echo "__asm__(\".section .rodata; stdlib_$$n: .incbin \\\"$$f\\\"; stdlib_$${n}_end: .byte 0; .previous\");"; \
	  echo "extern const char stdlib_$$n[], stdlib_$${n}_end[];"; done; \
	echo 'Str stdlib_source(Str module) {'; \
	for f in $(STDLIB); do n=$$(basename $$f .z8); \
	  echo "  if (str_equal(module, STR(\"$$n\"))) return (Str){stdlib_$$n, (size_t)(stdlib_$${n}_end - stdlib_$$n)};"; done; \
	echo '  return (Str){0};'; echo '}'; } > $@

$(B)/obj/vm/cli/verb_new.o: vm/cli/new_main.z8

-include $(OBJECTS:.o=.d)

deps:
	$(V)sh tests/deps.sh

include tests/tests.mk

install: $(B)/z8
	install -d $(DESTDIR)$(PREFIX)/bin
	install -m 755 $(B)/z8 $(DESTDIR)$(PREFIX)/bin/z8

clean:
	rm -rf build

.PHONY: all deps install clean
