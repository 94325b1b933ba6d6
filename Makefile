# impilo_fdw: a foreign data wrapper for the order API of Impilo
#
#   make                   build
#   make install           install into the PostgreSQL that pg_config names
#   make installcheck      regression tests against the running PostgreSQL,
#                          each beside a sandbox of the API of its own; then
#                          the TAP tests, which start PostgreSQLs of their own
#   make indent            lay the C code out as PostgreSQL does
#
# Another PostgreSQL than the first in PATH: make PG_CONFIG=/path/to/pg_config
#
# Everything on a bare machine, without installing or touching a PostgreSQL
# that is there: bash test/check.sh

EXTENSION = impilo_fdw
MODULE_big = impilo_fdw
PGFILEDESC = "impilo_fdw - foreign data wrapper for the order API of Impilo"

DATA = $(wildcard sql/impilo_fdw--*.sql)
OBJS = $(patsubst %.c,%.o,$(sort $(wildcard src/*.c src/*/*.c)))

PKG_CONFIG ?= pkg-config
LIBRARIES = libcurl json-c

PG_CPPFLAGS = -I$(CURDIR)/src $(shell $(PKG_CONFIG) --cflags $(LIBRARIES))
SHLIB_LINK = $(shell $(PKG_CONFIG) --libs $(LIBRARIES))

# sql/ holds the scripts of the extension and the inputs of pg_regress
REGRESS = $(filter-out impilo_fdw--%,$(sort $(basename $(notdir $(wildcard sql/*.sql)))))
REGRESS_OPTS = --launcher=$(CURDIR)/test/with-sandbox --load-extension=$(EXTENSION)
REGRESS_PREP = sandbox

TAP_TESTS = 1
PROVE_TESTS ?= $(sort $(wildcard test/t/*.pl))

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
ifeq ($(PGXS),)
$(error impilo_fdw is built with PostgreSQL's own rules: install the server's development files, or name their pg_config by PG_CONFIG)
endif
include $(PGXS)

ifeq ($(filter 15 16 17 18,$(MAJORVERSION)),)
$(error impilo_fdw needs PostgreSQL 15, 16, 17 or 18; $(PG_CONFIG) names $(VERSION))
endif

ifneq ($(shell $(PKG_CONFIG) --exists $(LIBRARIES) && echo yes),yes)
$(error impilo_fdw needs the development files of libcurl and json-c, found through pkg-config)
endif

$(OBJS): $(wildcard src/*.h src/*/*.h)

.PHONY: sandbox indent
sandbox:
	$(MAKE) -C test/sandbox

indent:
	test/style.sh --fix
