# The one build of the module (PGXS). The core alone, with its unit tests and fuzzers, is CMake's: see CMakeLists.txt.

EXTENSION = auren_events
EXTVERSION = $(shell sed -n "s/^default_version = '\(.*\)'/\1/p" $(srcdir)/$(EXTENSION).control)

MODULE_big = auren_events
SOURCES = $(sort $(wildcard $(srcdir)/src/*/*.cpp $(srcdir)/src/core/*/*.cpp))
OBJS = $(patsubst $(srcdir)/%.cpp,%.o,$(SOURCES))

# The install script is these pieces in this order.
INSTALL_PIECES = $(addprefix $(srcdir)/sql/install/, \
	00_schema.sql 10_store.sql 20_append.sql 30_read.sql 35_state.sql 40_streams.sql 45_feed.sql 46_subscriptions.sql 47_tags.sql 48_conditions.sql 50_notify.sql 55_metrics.sql 56_metric_views.sql 57_sources.sql 58_encrypted.sql \
	60_access.sql 61_months.sql 62_seals.sql 63_import.sql 64_archive.sql 65_comments.sql 66_installation.sql 67_cloudevents.sql 68_statistics.sql \
	70_drop_guard.sql 75_replica_identity.sql 77_version.sql 80_kept_objects.sql 90_dump.sql)
DATA_built = $(EXTENSION)--$(EXTVERSION).sql
# The scripts of released versions, as they were built then, and those that lead from one version to the next.
DATA = $(filter-out %/$(EXTENSION)--$(EXTVERSION).sql,$(wildcard $(srcdir)/sql/releases/*.sql)) $(wildcard $(srcdir)/sql/updates/*.sql)

REGRESS = $(shell sed 's/\#.*//' $(srcdir)/sql/order 2>/dev/null)
REGRESS_OPTS = --inputdir=$(srcdir) --load-extension=$(EXTENSION)
ISOLATION = $(patsubst $(srcdir)/test/specs/%.spec,%,$(sort $(wildcard $(srcdir)/test/specs/*.spec)))
ISOLATION_OPTS = --inputdir=$(srcdir)/test --load-extension=$(EXTENSION)
EXTRA_CLEAN = $(EXTENSION)--$(EXTVERSION).sql $(OBJS:.o=.d) output_iso results regression.diffs regression.out

PG_CONFIG ?= pg_config
INCLUDEDIR_SERVER := $(shell $(PG_CONFIG) --includedir-server)
PG_CPPFLAGS = -I$(srcdir)/src -isystem $(INCLUDEDIR_SERVER) -DAUREN_VERSION=\"$(EXTVERSION)\"
# Places where a test can stop a session (src/server/wait_point.hpp): in a copy of the sources, as scripts/check_waiting makes one.
ifdef WAIT_POINTS
PG_CPPFLAGS += -DAUREN_WAIT_POINTS
endif
PG_CXXFLAGS = -std=c++17 -fno-semantic-interposition -Wall -Wextra -Wno-register -MMD -MP $(EXTRA_CXXFLAGS)
# PGXS links with the C compiler. The version script keeps private every symbol that SQL does not name (before 16 the
# server does not mark its own macros for -fvisibility=hidden).
SHLIB_LINK = -lstdc++ -lcrypto -lz -Wl,--version-script=$(srcdir)/src/module.map

# JIT could inline nothing of a module that keeps its errors behind a guard, and bitcode would tie users to one clang.
override with_llvm = no

PGXS := $(shell $(PG_CONFIG) --pgxs)
srcdir ?= .
include $(PGXS)

-include $(OBJS:.o=.d)

# They hold the version.
src/module/module.o src/server/installed_version.o: $(srcdir)/$(EXTENSION).control

$(EXTENSION)--$(EXTVERSION).sql: $(INSTALL_PIECES) $(srcdir)/$(EXTENSION).control
	cat $(INSTALL_PIECES) > $@

# ---- for who builds it ---------------------------------------------------------------------------------------------------
# The check targets need what was built here, install nothing and ask for no right: the tests run on a copy of the server below run/.

.PHONY: objects check-unit check-regress check-isolation check-tap prove_check

objects: $(OBJS)

compile_commands.json: $(srcdir)/Makefile $(SOURCES)
	@$(srcdir)/scripts/compile_commands PG_CONFIG='$(PG_CONFIG)'

# make check-unit [UNIT='EventId*']: the core alone, without a server.
check-unit:
	@cmake -S $(srcdir) -B build/core >/dev/null
	@cmake --build build/core -j "$$(nproc)"
	@$(if $(UNIT),build/core/auren_core_test --gtest_filter='$(UNIT)',ctest --test-dir build/core --output-on-failure -j "$$(nproc)")

# make check-regress [REGRESS="setup append"], make check-isolation [ISOLATION="append_expected"]
WITH_SERVER = +@PG_CONFIG='$(PG_CONFIG)' $(srcdir)/scripts/with_server
check-regress: all
	@rm -f regression.diffs
	$(WITH_SERVER) $(MAKE) -s installcheck ISOLATION= || { [ ! -f regression.diffs ] || head -n 200 regression.diffs; exit 1; }
check-isolation: all
	@rm -f output_iso/regression.diffs
	$(WITH_SERVER) $(MAKE) -s installcheck REGRESS= || { [ ! -f output_iso/regression.diffs ] || head -n 200 output_iso/regression.diffs; exit 1; }

# make check-tap [PROVE_TESTS=test/t/002_crash.pl]
check-tap: all
	@[ "$$(id -u)" != 0 ] || { echo "PostgreSQL does not start as root: run this as another user, or scripts/check tap" >&2; exit 2; }
	+@bin=$$(PG_CONFIG='$(PG_CONFIG)' $(srcdir)/scripts/private_postgres run/tap-postgres) && $(MAKE) -s prove_check TAP_BIN="$$bin"

# TAP: PostgreSQL::Test makes and ends its own servers, from the programs in TAP_BIN (what is installed, if not given). Run it as a user
# that may start servers. PROVE_JOBS is how many files run at a time: with more than one, what a file prints is shown when it has ended.
TAP_DIR = $(CURDIR)/build/tap
TAP_BIN = $(bindir)
prove_check:
	@rm -rf '$(TAP_DIR)' && mkdir -p '$(TAP_DIR)'
	@cd $(srcdir) && PG_CONFIG='$(PG_CONFIG)' PATH="$(TAP_BIN):$$PATH" PG_REGRESS='$(top_builddir)/src/test/regress/pg_regress' \
		PERL5LIB="$(CURDIR)/test/perl:$(pgxsdir)/src/test/perl:$$PERL5LIB" TESTDIR='$(TAP_DIR)' \
		TESTDATADIR='$(TAP_DIR)' TESTLOGDIR='$(TAP_DIR)/log' LC_ALL=C.UTF-8 \
		$(if $(PROVE_JOBS),PROVE_FLAGS='$(PROVE_FLAGS)' scripts/prove $(PROVE_JOBS),prove -v $(PROVE_FLAGS)) $(if $(PROVE_TESTS),$(PROVE_TESTS),test/t/*.pl)
