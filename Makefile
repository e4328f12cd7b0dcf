# SPDX-License-Identifier: GPL-2.0-or-later
# One non-recursive makefile. `make help` lists what it does; every variant has its own folder.

VERSION := 0.1.0
PREFIX ?= /usr/local
DESTDIR ?=
# Whatever the prefix: lorisd looks in /etc/loris by default, and so does logrotate.
SYSCONFDIR ?= /etc
V ?= 0
CC ?= gcc
BPF_CLANG ?= $(firstword $(foreach c,clang-14 clang clang-19 clang-16,$(shell command -v $(c))) clang)
BPFTOOL ?= $(firstword $(foreach t,bpftool /usr/sbin/bpftool,$(shell command -v $(t))) bpftool)

# release: what is installed. asan: unit tests. clang: the second compiler's opinion.
VARIANT ?= release
BUILD := build/$(VARIANT)
GENERATED := build/generated

ifeq ($(origin CC),default)
CC := gcc
endif
ifeq ($(VARIANT),clang)
override CC := $(BPF_CLANG)
endif

WARNINGS := -Wall -Wextra -Wshadow -Wtype-limits -Wformat=2 -Wconversion -Wno-sign-conversion \
	-Wstrict-prototypes -Wmissing-prototypes -Wundef -Wvla -Werror=unused-function \
	-Werror=implicit-function-declaration $(if $(filter 1,$(WERROR)),-Werror)
PACKAGES := libbpf libelf libdw zlib libsystemd yaml-0.1 jansson libxxhash
PACKAGE_CFLAGS := $(shell pkg-config --cflags $(PACKAGES) capstone 2>/dev/null) \
	$(shell pkg-config --cflags-only-I ncursesw 2>/dev/null)
OPTIMISE := -O2 -g -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE
LINK := -fPIE -pie -Wl,-z,relro,-z,now $(LDFLAGS)
ifeq ($(VARIANT),asan)
OPTIMISE := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined
LINK := -fsanitize=address,undefined
endif
CFLAGS_ALL := -std=gnu11 -D_GNU_SOURCE -DLORIS_VERSION='"$(VERSION)"' -Iuser -Iinclude -I$(GENERATED) \
	$(PACKAGE_CFLAGS) $(WARNINGS) $(OPTIMISE) -MMD -MP $(CPPFLAGS) $(CFLAGS)
LIBS_AGENT := $(shell pkg-config --libs $(PACKAGES) 2>/dev/null) -liberty -lm
LIBS_CLIENT := $(shell pkg-config --libs jansson libsystemd ncursesw 2>/dev/null) -lxxhash -lm

QUIET := $(if $(filter 1,$(V)),,@)
say = $(if $(filter 1,$(V)),,@printf "  %-8s %s\n" "$(1)" "$(2)")

STAGES := base probe ingest aggregate identity alert history export query
STAGE_SOURCES := $(sort $(foreach stage,$(STAGES),$(wildcard user/$(stage)/*.c)))
AGENT_SOURCES := $(sort $(wildcard user/agent/*.c))
CLI_SOURCES := $(sort $(wildcard user/cli/*.c))
CLIENT_SOURCES := $(sort $(wildcard user/base/*.c) user/query/query_client.c)

object = $(patsubst %.c,$(BUILD)/%.o,$(1))
STAGE_OBJECTS := $(call object,$(STAGE_SOURCES))
AGENT_OBJECTS := $(call object,$(AGENT_SOURCES))
CLI_OBJECTS := $(call object,$(CLI_SOURCES))
CLIENT_OBJECTS := $(call object,$(CLIENT_SOURCES))

.PHONY: all
all: $(BUILD)/lorisd $(BUILD)/loris ## build lorisd and loris (default)
	@:

# --- kernel side -----------------------------------------------------------------------------

# An object holds the programs of one group or of a few that are loaded apart; all share the maps.
BPF_GROUPS := maps core tracepoints user session session_ctx open fentry kprobe heap kmem
BPF_PARTS_maps :=
BPF_PARTS_core := processes
BPF_PARTS_tracepoints := syscalls spans
BPF_PARTS_user := user_calls
BPF_PARTS_session := session
BPF_PARTS_session_ctx := session_ctx
BPF_PARTS_open := open_walk session_open
BPF_PARTS_fentry := kernel_fentry
BPF_PARTS_kprobe := kernel_kprobe
BPF_PARTS_heap := heap
BPF_PARTS_kmem := kmem

BPF_CFLAGS := -target bpf -D__TARGET_ARCH_x86 -mcpu=v3 -O2 -g -Wall -Wextra -Wno-unused-parameter \
	-Wno-unused-function -Ivmlinux -Iinclude -Ibpf -idirafter /usr/include/$(shell $(CC) -print-multiarch) \
	'-ffile-prefix-map=$(CURDIR)=.' -MMD -MP $(if $(filter 1,$(WERROR)),-Werror)

build/bpf/session_ctx.bpf.o: bpf/session.bpf.c Makefile
	@mkdir -p $(@D)
	$(call say,BPF,$< ctx)
	$(QUIET)$(BPF_CLANG) $(BPF_CFLAGS) -DLORIS_SESSION_CTX -c $< -o $@

build/bpf/%.bpf.o: bpf/%.bpf.c Makefile
	@mkdir -p $(@D)
	$(call say,BPF,$<)
	$(QUIET)$(BPF_CLANG) $(BPF_CFLAGS) -c $< -o $@

define BPF_GROUP
build/bpf/$(1).linked.o: build/bpf/maps.bpf.o $(foreach part,$(BPF_PARTS_$(1)),build/bpf/$(part).bpf.o)
	$$(QUIET)$(BPFTOOL) gen object $$@ $$^

$(GENERATED)/$(1).skel.h: build/bpf/$(1).linked.o
	@mkdir -p $$(@D)
	$$(call say,SKELETON,$$@)
	$$(QUIET)$(BPFTOOL) gen skeleton $$< name loris_$(1) > $$@.new && mv $$@.new $$@
endef
$(foreach group,$(BPF_GROUPS),$(eval $(call BPF_GROUP,$(group))))

# --- generated tables ------------------------------------------------------------------------

# Names and numbers of this architecture's syscalls, from the headers at hand.
$(GENERATED)/syscall_table.inc: Makefile
	@mkdir -p $(@D)
	$(call say,SYSCALLS,$@)
	$(QUIET)echo '#include <asm/unistd.h>' | $(CC) -E -dM -xc - | \
	sed -n 's/^#define __NR_\([a-z0-9_]*\) \([0-9][0-9]*\)$$/{"\1", \2},/p' | LC_ALL=C sort > $@.new && mv $@.new $@

# Texts that the programs carry, as strings.
embed = sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/^/"/' -e 's/$$/\\n"/' $(1) > $(2).new && mv $(2).new $(2)

$(GENERATED)/agent_interface.inc: include/loris/org.loris.Agent.varlink Makefile
	@mkdir -p $(@D)
	$(call say,EMBED,$<)
	$(QUIET)$(call embed,$<,$@)

COMPLETIONS := $(foreach shell,bash zsh fish,$(GENERATED)/completion_$(shell).inc)
$(COMPLETIONS): $(GENERATED)/completion_%.inc: user/cli/completion.% Makefile
	@mkdir -p $(@D)
	$(call say,EMBED,$<)
	$(QUIET)$(call embed,$<,$@)

GENERATED_FILES := $(foreach group,$(BPF_GROUPS),$(GENERATED)/$(group).skel.h) \
	 $(GENERATED)/syscall_table.inc $(GENERATED)/agent_interface.inc $(COMPLETIONS)

# --- user side -------------------------------------------------------------------------------

$(BUILD)/%.o: %.c Makefile | $(GENERATED_FILES)
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(QUIET)$(CC) $(CFLAGS_ALL) -c $< -o $@

$(BUILD)/lorisd: $(STAGE_OBJECTS) $(AGENT_OBJECTS)
	$(call say,LINK,$@)
	$(QUIET)$(CC) $(LINK) $^ $(LIBS_AGENT) -o $@

$(BUILD)/loris: $(CLIENT_OBJECTS) $(CLI_OBJECTS)
	$(call say,LINK,$@)
	$(QUIET)$(CC) $(LINK) $^ $(LIBS_CLIENT) -o $@

# --- running ---------------------------------------------------------------------------------

# Installs what is missing through apt; LORIS_SKIP_DEPS=1 leaves that to you.
.PHONY: deps-run
deps-run:
	$(QUIET)sh packaging/install-deps.sh build run

.PHONY: run
run: deps-run ## build, start the agent on the shipped configuration, show a live table (root)
	$(QUIET)$(MAKE) --no-print-directory all
	$(QUIET)sh packaging/live.sh $(BUILD)/lorisd $(BUILD)/loris packaging/loris.yaml

# --- tests -----------------------------------------------------------------------------------

# One binary per file; they see every stage. They run without root and without a kernel.
UNIT_SOURCES := $(sort $(wildcard tests/unit/*/*_test.c))
UNIT_BINARIES := $(patsubst %.c,$(BUILD)/%,$(UNIT_SOURCES))

$(BUILD)/tests/unit/%_test: $(BUILD)/tests/unit/%_test.o $(STAGE_OBJECTS) $(filter-out %/main.o,$(AGENT_OBJECTS))
	$(call say,LINK,$@)
	$(QUIET)$(CC) $(LINK) $^ $(LIBS_AGENT) -lcmocka -lm -o $@

.PHONY: unit-binaries
unit-binaries: $(UNIT_BINARIES)

.PHONY: check-unit
check-unit: ## unit tests under ASan and UBSan; no root needed
	$(QUIET)$(MAKE) --no-print-directory VARIANT=asan unit-binaries
	$(QUIET)tests/run-unit build/asan/tests/unit

# --- tests that need root and a kernel -------------------------------------------------------

# tests/bpf/NAME.bpf.c is loaded by NAME_test.c through its skeleton; tests without one use the
# stages. They are built without sanitizers, against the release objects.
BPF_TESTS := build/bpf-tests
BPF_TEST_PARTS := $(patsubst tests/bpf/%.bpf.c,%,$(sort $(wildcard tests/bpf/*.bpf.c)))
BPF_TEST_SKELETONS := $(BPF_TEST_PARTS:%=$(BPF_TESTS)/%.skel.h)
BPF_TEST_BINARIES := $(patsubst tests/bpf/%.c,$(BPF_TESTS)/%,$(sort $(wildcard tests/bpf/*_test.c)))

$(BPF_TESTS)/%.bpf.o: tests/bpf/%.bpf.c Makefile
	@mkdir -p $(@D)
	$(call say,BPF,$<)
	$(QUIET)$(BPF_CLANG) $(BPF_CFLAGS) -c $< -o $@

$(BPF_TESTS)/%.skel.h: $(BPF_TESTS)/%.bpf.o
	$(call say,SKELETON,$@)
	$(QUIET)$(BPFTOOL) gen skeleton $< name $* > $@.new && mv $@.new $@

$(BPF_TESTS)/%_test.o: tests/bpf/%_test.c Makefile | $(BPF_TEST_SKELETONS)
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(QUIET)$(CC) $(CFLAGS_ALL) -I$(BPF_TESTS) -c $< -o $@

$(BPF_TESTS)/%_test: $(BPF_TESTS)/%_test.o $(STAGE_OBJECTS)
	$(call say,LINK,$@)
	$(QUIET)$(CC) $(LINK) $^ $(LIBS_AGENT) -lcmocka -lm -o $@

.SECONDARY: $(BPF_TEST_SKELETONS) $(BPF_TEST_PARTS:%=$(BPF_TESTS)/%.bpf.o) $(BPF_TEST_BINARIES:%=%.o)

# Programs with known truth that the end-to-end tests watch.
WORKLOAD_SOURCES := $(sort $(wildcard tests/e2e/workloads/*.c tests/e2e/workloads/*.cc))
WORKLOADS := $(patsubst tests/e2e/workloads/%,build/workloads/%,$(basename $(WORKLOAD_SOURCES)))

build/workloads/%: tests/e2e/workloads/%.c Makefile
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(QUIET)$(CC) -std=gnu11 -D_GNU_SOURCE -O1 -g -Wall -Wextra -fno-inline -fno-omit-frame-pointer -pthread $< -o $@

build/workloads/%: tests/e2e/workloads/%.cc Makefile
	@mkdir -p $(@D)
	$(call say,CXX,$<)
	$(QUIET)$(CXX) -O1 -g -Wall -Wextra -fno-inline -fno-omit-frame-pointer -pthread $< -o $@

.PHONY: workloads
workloads: $(WORKLOADS)

.PHONY: deps-check
deps-check:
	$(QUIET)sh packaging/install-deps.sh build run test package

# The warnings of two compilers are errors here.
.PHONY: check
check: deps-check ## install what is missing, build with gcc and clang, run all tests (root)
	$(QUIET)$(MAKE) --no-print-directory WERROR=1 all workloads $(BPF_TEST_BINARIES)
	$(QUIET)$(MAKE) --no-print-directory WERROR=1 VARIANT=clang all
	$(QUIET)$(MAKE) --no-print-directory WERROR=1 VARIANT=asan unit-binaries
	$(QUIET)tests/run

# --- benchmarks ------------------------------------------------------------------------------

# tests/bench/run.py drives these; figures go to build/bench. BENCH='user syscall' selects rows.
BENCH ?=
BENCH_BUILD := build/bench
BENCH_PROGRAMS := $(addprefix $(BENCH_BUILD)/,bench_target bench_floor bench_source \
	$(patsubst tests/bench/%.c,%,$(wildcard tests/bench/record_bench.c)))

$(BENCH_BUILD)/%.bpf.o: tests/bench/%.bpf.c Makefile
	@mkdir -p $(@D)
	$(call say,BPF,$<)
	$(QUIET)$(BPF_CLANG) $(BPF_CFLAGS) -c $< -o $@

$(BENCH_BUILD)/%.skel.h: $(BENCH_BUILD)/%.bpf.o
	$(call say,SKELETON,$@)
	$(QUIET)$(BPFTOOL) gen skeleton $< name $*_bpf > $@.new && mv $@.new $@

$(BENCH_BUILD)/%.o: tests/bench/%.c Makefile | $(BENCH_BUILD)/floor.skel.h $(BENCH_BUILD)/source.skel.h
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(QUIET)$(CC) $(CFLAGS_ALL) -I$(BENCH_BUILD) -c $< -o $@

# No sanitizer, no stage: what is watched is a program like any other.
$(BENCH_BUILD)/bench_target: tests/bench/bench_target.c tests/bench/bench_functions.S Makefile
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(QUIET)$(CC) -std=gnu11 -D_GNU_SOURCE -O2 -g -Wall -Wextra -pthread $(filter %.c %.S,$^) -o $@

$(BENCH_BUILD)/%: $(BENCH_BUILD)/%.o $(STAGE_OBJECTS)
	$(call say,LINK,$@)
	$(QUIET)$(CC) $(LINK) $^ $(LIBS_AGENT) -o $@

.SECONDARY: $(foreach part,floor source,$(BENCH_BUILD)/$(part).bpf.o $(BENCH_BUILD)/$(part).skel.h) \
	$(BENCH_PROGRAMS:%=%.o)

.PHONY: bench-programs
bench-programs: $(BENCH_PROGRAMS)

.PHONY: bench
bench: ## measure loris beside other tools, about 7 minutes (root); BENCH='ROW...' selects
	$(QUIET)sh packaging/install-deps.sh build run bench
	$(QUIET)$(MAKE) --no-print-directory all bench-programs
	$(QUIET)python3 tests/bench/run.py $(BENCH)

# --- manual pages ----------------------------------------------------------------------------

# packaging/man/NAME.N.scd. Its line `@NAME@` stands for a part that is made from what the programs
# themselves know: commands and options of loris, the shipped presets.
MANUALS := $(patsubst packaging/man/%.scd,build/man/%,$(sort $(wildcard packaging/man/*.scd)))
MANUAL_PARTS := build/man/parts/commands build/man/parts/presets

build/man/parts/commands: $(BUILD)/loris
	@mkdir -p $(@D)
	$(QUIET)$(BUILD)/loris help --scdoc > $@.new && mv $@.new $@

build/man/parts/presets: packaging/man/presets.awk $(wildcard packaging/presets/*.yaml)
	@mkdir -p $(@D)
	$(QUIET)awk -f $^ </dev/null > $@.new && mv $@.new $@

build/man/%: packaging/man/%.scd packaging/man/tidy.awk $(MANUAL_PARTS) Makefile
	$(call say,MANUAL,$@)
	$(QUIET)sed -e '/^@commands@$$/{r build/man/parts/commands' -e 'd}' \
		-e '/^@presets@$$/{r build/man/parts/presets' -e 'd}' $< > build/man/parts/$(@F).scd
	$(QUIET)scdoc < build/man/parts/$(@F).scd > build/man/parts/$(@F)
	$(QUIET)LC_ALL=C awk -f packaging/man/tidy.awk build/man/parts/$(@F) > $@.new && mv $@.new $@

.PHONY: man
man: $(MANUALS) ## manual pages, in build/man (needs scdoc)
	@:

# --- installation ----------------------------------------------------------------------------

BINDIR := $(PREFIX)/bin
SBINDIR := $(PREFIX)/sbin
DATADIR := $(PREFIX)/share/loris
DOCDIR := $(PREFIX)/share/doc/loris
MANDIR := $(PREFIX)/share/man
UNITDIR := $(PREFIX)/lib/systemd/system
SYSUSERSDIR := $(PREFIX)/lib/sysusers.d
TMPFILESDIR := $(PREFIX)/lib/tmpfiles.d
PRESETDIR := $(PREFIX)/lib/systemd/system-preset
CATALOGDIR := $(PREFIX)/lib/systemd/catalog
BASHDIR := $(PREFIX)/share/bash-completion/completions
ZSHDIR := $(PREFIX)/share/zsh/site-functions
FISHDIR := $(PREFIX)/share/fish/vendor_completions.d

# What is made for one installation, for PREFIX is in it.
STAGING := build/install
ifeq ($(shell command -v scdoc),)
INSTALLED_MANUALS :=
else
INSTALLED_MANUALS := $(MANUALS)
endif

# FILE:PLACE of all that is installed; uninstall goes through the same lists.
place = $(foreach file,$(wildcard $(1)),$(file):$(2))
INSTALLED_PROGRAMS := $(BUILD)/lorisd:$(SBINDIR)/lorisd $(BUILD)/loris:$(BINDIR)/loris
INSTALLED_FILES := \
	include/loris/org.loris.Agent.varlink:$(DATADIR)/org.loris.Agent.varlink \
	packaging/loris.yaml:$(DATADIR)/loris.yaml \
	$(foreach file,$(wildcard packaging/presets/*.yaml),$(file):$(DATADIR)/presets/$(notdir $(file))) \
	packaging/loris.logrotate:$(SYSCONFDIR)/logrotate.d/loris \
	$(foreach file,$(wildcard packaging/log-aggregation/*),$(file):$(DATADIR)/log-aggregation/$(notdir $(file))) \
	$(STAGING)/loris.service:$(UNITDIR)/loris.service \
	packaging/systemd/loris.sysusers:$(SYSUSERSDIR)/loris.conf \
	$(call place,packaging/systemd/loris.tmpfiles,$(TMPFILESDIR)/loris.conf) \
	$(call place,packaging/systemd/loris.preset,$(PRESETDIR)/80-loris.preset) \
	$(call place,packaging/systemd/no-sys-admin.conf,$(DATADIR)/no-sys-admin.conf) \
	$(call place,packaging/systemd/loris.catalog,$(CATALOGDIR)/loris.catalog) \
	$(STAGING)/loris.bash:$(BASHDIR)/loris $(STAGING)/loris.zsh:$(ZSHDIR)/_loris \
	$(STAGING)/loris.fish:$(FISHDIR)/loris.fish \
	$(foreach page,$(INSTALLED_MANUALS),$(page):$(MANDIR)/man$(subst .,,$(suffix $(page)))/$(notdir $(page))) \
	README.md:$(DOCDIR)/README.md LICENSE:$(DOCDIR)/LICENSE
CONFIGURATION := $(DESTDIR)$(SYSCONFDIR)/loris

split = $(subst :, ,$(1))
put = install -D -m $(1) '$(word 1,$(call split,$(2)))' '$(DESTDIR)$(word 2,$(call split,$(2)))' &&
drop = '$(DESTDIR)$(word 2,$(call split,$(1)))'

.PHONY: staging
staging: all $(INSTALLED_MANUALS)
	$(QUIET)mkdir -p $(STAGING)
	$(QUIET)sed -e 's|@SBINDIR@|$(SBINDIR)|' -e 's|@BINDIR@|$(BINDIR)|' \
		-e 's|@SYSCONFDIR@|$(SYSCONFDIR)|' packaging/systemd/loris.service > $(STAGING)/loris.service
	$(QUIET)for shell in bash zsh fish; do \
		$(BUILD)/loris completion $$shell > $(STAGING)/loris.$$shell || exit; done
	$(if $(INSTALLED_MANUALS),,@echo 'loris: no manual pages, for there is no scdoc')

.PHONY: install
install: staging ## install below DESTDIR and PREFIX; keeps a configuration that is there
	$(call say,INSTALL,$(DESTDIR)$(PREFIX))
	$(QUIET)$(foreach pair,$(INSTALLED_PROGRAMS),$(call put,755,$(pair))) \
		$(foreach pair,$(INSTALLED_FILES),$(call put,644,$(pair))) \
		install -d '$(CONFIGURATION)/conf.d' '$(CONFIGURATION)/presets'
	$(QUIET)test -e '$(CONFIGURATION)/loris.yaml' || \
		install -m 644 packaging/loris.yaml '$(CONFIGURATION)/loris.yaml'
	$(QUIET)test -n '$(DESTDIR)' || test ! -d /run/systemd/system || \
		{ systemd-sysusers loris.conf && systemd-tmpfiles --create --prefix=/run/loris \
			--prefix=/var/lib/loris --prefix=/var/log/loris && \
		  journalctl --quiet --update-catalog && systemctl daemon-reload; }

.PHONY: uninstall
uninstall: ## remove what install has put there; a configuration that was changed stays
	$(call say,REMOVE,$(DESTDIR)$(PREFIX))
	$(QUIET)! cmp -s '$(DESTDIR)$(DATADIR)/loris.yaml' '$(CONFIGURATION)/loris.yaml' || \
		rm -f '$(CONFIGURATION)/loris.yaml'
	$(QUIET)rm -f $(foreach pair,$(INSTALLED_PROGRAMS) $(INSTALLED_FILES),$(call drop,$(pair)))
	$(QUIET)rm -rf '$(DESTDIR)$(DATADIR)' '$(DESTDIR)$(DOCDIR)'
	$(QUIET)rmdir '$(CONFIGURATION)/conf.d' '$(CONFIGURATION)/presets' '$(CONFIGURATION)' 2>/dev/null || true

# --- packages --------------------------------------------------------------------------------

.PHONY: deps-package
deps-package:
	$(QUIET)sh packaging/install-deps.sh build package

# Both are built from a copy in build/, the tree stays as it is.
.PHONY: deb
deb: deps-package ## build the Debian packages, in build/deb
	$(QUIET)sh packaging/build-deb.sh '$(VERSION)' build/deb

.PHONY: rpm
rpm: deps-package ## build the RPM package, in build/rpm
	$(QUIET)sh packaging/build-rpm.sh '$(VERSION)' build/rpm

.PHONY: clean
clean: ## remove everything that was built
	$(QUIET)rm -rf build

.PHONY: help
help: ## this list
	@echo 'make [TARGET] [V=1] [CC=...] [PREFIX=...] [DESTDIR=...]'
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

# In build/packages lie roots of Debian, whose update-rc.d is no dependency of ours.
-include $(shell find build -path build/packages -prune -o -name '*.d' -type f -print 2>/dev/null)
