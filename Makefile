# Hybrid: builds the module, the tools and the tests. `make help` lists the targets; V=1 shows the commands.
# B chooses the variant, each with its own objects: opt (what is installed), asan, bugs, fuzz.

B ?= opt
O := build/$(B)
VERSION := 0.1.0

prefix ?= /usr/local
sbindir ?= $(prefix)/sbin
bindir ?= $(prefix)/bin
mandir ?= $(prefix)/share/man
docdir ?= $(prefix)/share/doc/hybrid
completiondir ?= $(prefix)/share/bash-completion/completions
# Both compiled in and in units: prefix= has to be the same when it is built and when it is installed.
delegatesdir ?= $(prefix)/share/hybrid/delegates
unitdir ?= $(prefix)/lib/systemd/system
sysconfdir ?= /etc
# Compiled into tgtd: it looks nowhere else.
tgtdir ?= /usr/lib/tgt/backing-store

SECONDS ?= 600
FUZZ_SECONDS ?= 60
export B SEED T WORLDS KILLS ROUNDS FUZZ_SECONDS

Q := $(if $(filter 1,$(V)),,@)
MAKEFLAGS += --no-print-directory
# What root built by sudo belongs to its user again.
give_back = s=$$?; [ -z "$(SUDO_UID)" ] || chown -R "$(SUDO_UID):$(SUDO_GID)" build; exit $$s
say = $(if $(filter 1,$(V)),,@printf '  %-7s %s\n' $(1) $(2);)

# ------------------------------------------------------------------ flags
ifeq ($(origin CC),default)
CC := $(if $(filter fuzz,$(B)),clang,gcc)
endif
CFLAGS ?= -O2 -g
SANITIZE_opt :=
SANITIZE_bugs := -DHB_BUGS
SANITIZE_asan := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
SANITIZE_fuzz := -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wundef -Wpointer-arith -Wwrite-strings
WARN += $(if $(filter 1,$(WERROR)),-Werror)
ALL_CFLAGS := -std=gnu11 $(CFLAGS) $(WARN) $(SANITIZE_$(B)) -fPIC -fvisibility=hidden -fno-strict-aliasing \
	-Ibs_hybrid -Idaemon -I. -D_GNU_SOURCE -DHB_VERSION='"$(VERSION)"' \
	-DDELEGATE_DIR='"$(delegatesdir)"'
ALL_LDFLAGS := $(LDFLAGS) $(filter -fsanitize=%,$(SANITIZE_$(B))) -Wl,-z,relro,-z,now
LIBS := -laio -ljansson -lblkid -liscsi -lpthread
DAEMON_LIBS := -lmicrohttpd -lgnutls -lsqlite3 -lcurl-gnutls -lsystemd

# ------------------------------------------------------------------ sources, one wildcard per room
ROOMS := base format dev map space cache engine stream conf host control
DAEMON_ROOMS := store box http sigv4 saga verbs ec2 direct api
objs = $(patsubst %.c,$(O)/obj/%.o,$(wildcard $(1)))
LIB_OBJ := $(foreach r,$(ROOMS),$(call objs,bs_hybrid/$(r)/*.c))
TGT_OBJ := $(call objs,bs_hybrid/tgt/*.c)
DAEMON_OBJ := $(foreach r,$(DAEMON_ROOMS),$(call objs,daemon/$(r)/*.c))
HYBRIDD_OBJ := $(call objs,daemon/hybridd/*.c)
AGENT_OBJ := $(call objs,daemon/agent/*.c)
TOOL_OBJ := $(call objs,tools/*.c)
REPLAY_OBJ := $(call objs,tools/replay/*.c)
SHARED_TOOLS := out size hist rates term heat top
VOLUME_OBJ := $(call objs,tools/volume/*.c $(SHARED_TOOLS:%=tools/%.c) daemon/verbs/table.c daemon/verbs/codes.c)
UNIT_OBJ := $(call objs,tests/unit/*.c)
# What runs by itself; the rest of the folder are the suites.
DAEMON_ALONE := saga_kill tgt_live disk_live
DAEMON_UNIT_OBJ := $(filter-out $(DAEMON_ALONE:%=$(O)/obj/tests/daemon/%.o),$(call objs,tests/daemon/*.c)) \
	$(call objs,tests/unit/scratch.c) $(filter-out %/main.o,$(AGENT_OBJ))
SIM_OBJ := $(call objs,tests/sim/*.c)
CLIENT_OBJ := $(call objs,tests/client/*.c)
E2E_OBJ := $(call objs,tests/e2e/*.c tests/bench/*.c)
FUZZ_OBJ := $(call objs,tests/fuzz/*.c)
E2E := $(addprefix $(O)/,$(notdir $(E2E_OBJ:.o=)))
FUZZ := $(addprefix $(O)/,$(notdir $(FUZZ_OBJ:.o=)))
LIB := $(O)/libhybrid.a
MODULE := $(if $(TGT_OBJ),$(O)/bs_hybrid.so)
TOOL := $(if $(TOOL_OBJ),$(O)/hybrid-pool)
REPLAY := $(if $(REPLAY_OBJ),$(O)/hybrid-replay)
DAEMON_LIB := $(O)/libhybridd.a
VOLUME := $(O)/hybrid-volume
DAEMONS := $(if $(HYBRIDD_OBJ),$(O)/hybridd) $(if $(AGENT_OBJ),$(O)/hybrid-agent)
UNIT := $(if $(UNIT_OBJ),$(O)/unit)
DAEMON_UNIT := $(O)/daemon-unit
DAEMON_TESTS := $(DAEMON_UNIT) $(DAEMON_ALONE:%=$(O)/%)
SIM := $(if $(SIM_OBJ),$(O)/sim)

.PHONY: all served programs check check-asan e2e tidy bugs bench demo test soak fuzz install uninstall deps clean help
all: $(MODULE) $(TOOL) $(REPLAY) $(VOLUME) $(DAEMONS)

$(O)/obj/%.o: %.c Makefile
	$(call say,CC,$<)mkdir -p $(@D) && $(CC) $(ALL_CFLAGS) $(CPPFLAGS) -MMD -MP -c -o $@ $<

$(LIB): $(LIB_OBJ)
	$(call say,AR,$@)rm -f $@ && ar rcs $@ $^

# tgtd resolves its own functions when it loads the module, so they stay undefined here.
$(MODULE): $(TGT_OBJ) $(LIB)
	$(call say,LINK,$@)$(CC) -shared -o $@ $^ $(ALL_LDFLAGS) $(LIBS)

link = $(call say,LINK,$@)$(CC) -o $@ $^ $(ALL_LDFLAGS) $(1) $(LIBS)
$(TOOL): $(TOOL_OBJ) $(LIB)
	$(call link,-lsmartcols -lm)
$(REPLAY): $(REPLAY_OBJ) $(call objs,tools/out.c tools/size.c) $(LIB)
	$(call link,-lsmartcols -lm)
$(VOLUME): $(VOLUME_OBJ) $(LIB)
	$(call link,-lsmartcols -lm -lcurl-gnutls)
$(DAEMON_LIB): $(DAEMON_OBJ)
	$(call say,AR,$@)rm -f $@ && ar rcs $@ $^
$(O)/hybridd: $(HYBRIDD_OBJ) $(DAEMON_LIB) $(LIB)
	$(call link,$(DAEMON_LIBS))
$(O)/hybrid-agent: $(AGENT_OBJ) $(DAEMON_LIB) $(LIB)
	$(call link,$(DAEMON_LIBS))
$(UNIT): $(UNIT_OBJ) $(LIB)
	$(call link,-lcunit)
$(DAEMON_UNIT): $(DAEMON_UNIT_OBJ) $(DAEMON_LIB) $(LIB)
	$(call link,-lcunit $(DAEMON_LIBS))
$(DAEMON_ALONE:%=$(O)/%): $(call objs,tests/unit/scratch.c) $(CLIENT_OBJ) $(DAEMON_LIB) $(LIB)
$(DAEMON_ALONE:%=$(O)/%): $(O)/%: $(O)/obj/tests/daemon/%.o
	$(call link,-lcunit $(DAEMON_LIBS))
$(SIM): $(SIM_OBJ) $(LIB)
	$(call link)
WITH_pace := $(call objs,tests/unit/pace_rig.c)
define e2e_program
$(O)/$(notdir $(1:.o=)): $(1) $(WITH_$(notdir $(1:.o=))) $(CLIENT_OBJ) $(LIB)
	$$(call link)
endef
$(foreach o,$(E2E_OBJ),$(eval $(call e2e_program,$(o))))
WITH_fuzz_query := $(DAEMON_LIB)
WITH_fuzz_sigv4 := $(DAEMON_LIB)
WITH_fuzz_delegate := $(filter-out %/main.o %/serve.o,$(AGENT_OBJ)) $(DAEMON_LIB)
define fuzz_program
$(O)/$(notdir $(1:.o=)): $(1) $(WITH_$(notdir $(1:.o=))) $(LIB)
	$$(call link,-fsanitize=fuzzer $$(if $$(WITH_$(notdir $(1:.o=))),$(DAEMON_LIBS)))
endef
$(foreach o,$(FUZZ_OBJ),$(eval $(call fuzz_program,$(o))))

-include $(shell test -d $(O)/obj && find $(O)/obj -name '*.d')

# ------------------------------------------------------------------ tests
served: all $(E2E)
programs: served $(UNIT) $(DAEMON_TESTS) $(SIM)		## everything of one variant (B=), nothing run

check: $(UNIT) $(DAEMON_UNIT) $(SIM)		## unit tests and the simulator; T=suite.test SEED=7 runs one
	$(Q)tests/check $(O)
e2e: served $(O)/tgt_live $(O)/disk_live	## kills, hostile initiators, every command, through a private tgtd
	$(Q)$(MAKE) B=bugs build/bugs/hybridd
	$(Q)tests/check $(O) e2e
check-asan:					## the same under the address and undefined sanitizers
	$(Q)$(MAKE) B=asan WORLDS=$(or $(WORLDS),10000) check
tidy:						## format, includes between rooms, sizes, banned calls, scripts
	$(Q)tools/tidy/run
bugs:						## each deliberate bug must be caught by the simulator
	$(Q)$(MAKE) B=bugs build/bugs/sim build/bugs/saga_kill build/bugs/hybridd
	$(Q)tests/check build/bugs bugs
bench: served					## ours against tgt's own null, rdwr and aio
	$(Q)tests/bench/run
test:						## every suite, one line each (as root it installs what is missing)
	$(Q)tests/run; $(give_back)
soak: $(SIM)					## the simulator for SECONDS=600
	$(Q)tests/check $(O) soak $(SECONDS)
fuzz:						## each parser for FUZZ_SECONDS=60
	$(Q)$(MAKE) B=fuzz fuzz-programs
	$(Q)tests/fuzz/run build/fuzz
.PHONY: fuzz-programs
fuzz-programs: $(FUZZ)
demo:			## shows a cached volume survive SIGKILL of tgtd (as root it installs what is missing)
	$(Q)tools/deps demo
	$(Q)$(MAKE) -j$$(nproc) served
	$(Q)tools/demo; $(give_back)

# ------------------------------------------------------------------ housekeeping
deps:						## apt packages to build, run and test; only the missing ones
	$(Q)tools/deps all
PLACES = "$(DESTDIR)$(tgtdir)" "$(DESTDIR)$(sbindir)" "$(DESTDIR)$(bindir)" "$(DESTDIR)$(mandir)" \
	"$(DESTDIR)$(docdir)" "$(DESTDIR)$(completiondir)" "$(DESTDIR)$(sysconfdir)/hybrid" \
	"$(DESTDIR)$(delegatesdir)" "$(DESTDIR)$(unitdir)"
install: all					## DESTDIR=, prefix=/usr/local; the module goes where tgtd looks
	$(Q)DESTDIR="$(DESTDIR)" tools/install $(O) $(PLACES)
uninstall:					## what install put there, except configuration
	$(Q)DESTDIR="$(DESTDIR)" tools/install --remove $(O) $(PLACES)
clean:						## removes build/
	$(Q)rm -rf build
help:						## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20
