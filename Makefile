# impilo_fdw: a foreign data wrapper for the order API of Impilo
#
#   make                   build; V=1 prints the commands
#   make install           install into the PostgreSQL that pg_config names
#   make installcheck      run the regression tests in the running PostgreSQL,
#                          each with its own sandbox of the API, then the TAP
#                          tests, which start their own PostgreSQL servers
#   make deb               build Debian packages of the committed files, in
#                          build/deb
#   make dist              build the distribution for PGXN, in build
#   make indent            format the C code as PostgreSQL does
#
# To use another pg_config than the first in PATH, add
# PG_CONFIG=/path/to/pg_config.
#
# bash test/check.sh builds and tests everything on a bare machine.  It does
# not touch a PostgreSQL installation.

EXTENSION = impilo_fdw
MODULE_big = impilo_fdw
PGFILEDESC = "impilo_fdw - foreign data wrapper for the order API of Impilo"

DATA = $(wildcard sql/impilo_fdw--*.sql)
OBJS = $(patsubst %.c,%.o,$(sort $(wildcard src/*.c src/*/*.c)))

DISTVERSION = $(shell sed -n 's/^   "version": "\(.*\)",/\1/p' META.json)

PKG_CONFIG ?= pkg-config
LIBRARIES = libcurl json-c

PG_CPPFLAGS = -I$(CURDIR)/src $(shell $(PKG_CONFIG) --cflags $(LIBRARIES))
SHLIB_LINK = $(shell $(PKG_CONFIG) --libs $(LIBRARIES))

# sql/ contains the scripts of the extension and the inputs of pg_regress
REGRESS = $(filter-out impilo_fdw--%,$(sort $(basename $(notdir $(wildcard sql/*.sql)))))
REGRESS_OPTS = --launcher=$(CURDIR)/test/with-sandbox --load-extension=$(EXTENSION)
REGRESS_PREP = sandbox

TAP_TESTS = 1
PROVE_TESTS ?= $(sort $(wildcard test/t/*.pl))

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
ifeq ($(PGXS),)
$(error cannot find PGXS: install the development files of the PostgreSQL server, or set PG_CONFIG)
endif
include $(PGXS)

ifeq ($(filter 15 16 17 18,$(MAJORVERSION)),)
$(error impilo_fdw requires PostgreSQL 15, 16, 17 or 18; $(PG_CONFIG) belongs to $(VERSION))
endif

ifneq ($(shell $(PKG_CONFIG) --exists $(LIBRARIES) && echo yes),yes)
$(error impilo_fdw requires the development files of libcurl and json-c; pkg-config does not find them)
endif

# One short line for each compiled file, unless V=1 or make -s is given.
ifeq ($(V)$(findstring s,$(firstword -$(MAKEFLAGS))),)
short = @echo '  $(1) $@';
$(foreach rule,COMPILE.c COMPILE.c.bc LINK.shared,$(eval $(rule) = $$(call short,$(word 1,$(subst ., ,$(rule))))$(value $(rule))))
endif

$(OBJS): $(wildcard src/*.h src/*/*.h)

.PHONY: sandbox deb dist indent
sandbox:
	$(MAKE) -C test/sandbox

# The source package has the control file for the PostgreSQL versions of this
# release of Debian.
deb: name = impilo-fdw-$(DISTVERSION)
deb:
	rm -rf build/deb
	mkdir -p build/deb/$(name)
	git archive --prefix=$(name)/ -o build/deb/impilo-fdw_$(DISTVERSION).orig.tar.gz HEAD . ':!debian'
	git archive HEAD | tar -C build/deb/$(name) -xf -
	cd build/deb/$(name) && pg_buildext updatecontrol && dpkg-buildpackage -us -uc
	rm -r build/deb/$(name)
	ls build/deb

# The version is that of META.json.
dist:
	mkdir -p build
	git archive --prefix=impilo_fdw-$(DISTVERSION)/ -o build/impilo_fdw-$(DISTVERSION).zip HEAD

indent:
	test/style.sh --fix
