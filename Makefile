# Copyright: Contributors to the imagemode.bootc project
# SPDX-License-Identifier: GPL-3.0-or-later

PYTHON ?= python3

.PHONY: help test check chaos demo demo-clean bench docs archive

help:
	@echo "make demo        the whole road: build, push, install, boot, update, roll back (root)"
	@echo "make test        the tests, as many as fit into IMAGEMODE_TEST_MINUTES (70; 0 for all) (root)"
	@echo "make check       the part of the tests that takes two minutes"
	@echo "make chaos       kills at random moments of everything that does something, and what is there afterwards (root)"
	@echo "make bench       measure the collection beside what it stands on"
	@echo "make docs        the documentation as a site, in .cache/site"
	@echo "make archive     what Galaxy gets, of the last commit"
	@echo "make demo-clean  stop and remove what the demo made"

test:
	$(PYTHON) tests/run.py test

check:
	$(PYTHON) tests/run.py check

chaos:
	$(PYTHON) tests/chaos/chaos.py

demo:
	$(PYTHON) tests/e2e/demo.py

bench:
	$(PYTHON) bench/bench.py

docs:
	$(PYTHON) tests/site.py

archive:
	$(PYTHON) tests/archive.py

demo-clean:
	tests/reference/lab clean --all
	rm -rf .cache/logs/demo
