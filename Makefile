# DesiredState: everything a person runs by hand. `make help` lists it.

SWIFT ?= swift
# What the command line and the demo need, and what the other modules, the tests and their servers need besides.
LIBRARIES := libarchive-dev libcurl4-openssl-dev libssl-dev libgit2-dev zlib1g-dev
DEMO_PACKAGES := $(LIBRARIES) openssh-client
TEST_PACKAGES := $(DEMO_PACKAGES) git strace faketime time util-linux python3 iproute2 nginx-light openssl fcgiwrap \
  openssh-server python3-dulwich rsync curl man-db jq
# What building a package needs besides, and trying it in a clean root.
PACKAGE_PACKAGES := $(LIBRARIES) binutils dpkg-dev python3
# Packages of their own build into one place, so that common dependencies are built once. Each names its tests, and makes its
# plan anew: else those of the package that was built before are used.
NESTED := --scratch-path .build-nested --disable-build-manifest-caching

.DEFAULT_GOAL := help
.PHONY: beside browser help requirements build test demo demo-fleet serve examples reference-server scenarios compare compare-again compare-programs compare-smoke comparison-report articles recordings lint documented docs graphs format bench torture fuzz simulate sanitize clean program install package test-package test-image explained

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

requirements: ## install the Debian packages that building and testing need
	@Scripts/install-packages $(TEST_PACKAGES)

# Pages are looked at in a browser; where there is none, those tests say that they are skipped.
browser:
	-@Scripts/install-packages chromium

build: requirements ## build everything, with debug information
	$(SWIFT) build --build-tests

# Targets with a process of their own: these count its files and memory, so that nothing else may run in it;
ALONE := EnduranceTests DesiredStateTestingTests ConformanceTests
# and these start servers or programs, a few at a time: each has limits of time that hold where two processors serve all.
SERVED := CommandLineTests HTTPTransportTests RESTBackendTests GitBackendTests
RUN := $(SWIFT) test --skip-build
FEW := SWT_EXPERIMENTAL_MAXIMUM_PARALLELIZATION_WIDTH=4 $(RUN)
space := $(subst ,, )
# The tests of some targets, as a regular expression over their names.
of = ^($(subst $(space),|,$(1)))\.

test: requirements browser ## install what is missing, build, and run every test
	$(SWIFT) build --build-tests
	$(RUN) --skip '$(call of,$(ALONE) $(SERVED))'
	for target in $(SERVED); do $(FEW) --filter "^$$target\." || exit; done
	$(RUN) --no-parallel --filter '$(call of,EnduranceTests)'
	for target in DesiredStateTestingTests ConformanceTests; do $(RUN) --filter "^$$target\." || exit; done
	@# In this order, so that no package's dependencies are checked out and built twice.
	$(MAKE) examples beside reference-server articles scenarios compare-smoke
	CONFIGURATION=debug Fuzzing/run 3

demo: ## a signed drop, followed end to end, as a story
	@Scripts/install-packages $(DEMO_PACKAGES)
	$(SWIFT) build --product desired-state
	@Scripts/demo "$$($(SWIFT) build --show-bin-path)/desired-state"

demo-fleet: ## ten devices, a repository, a manager and faults, as a story that ends at the fleet's page
	@Scripts/install-packages $(DEMO_PACKAGES) git curl
	$(SWIFT) build --product desired-state
	$(SWIFT) build $(NESTED) --package-path ReferenceServer --product reference-server
	@Scripts/demo-fleet "$$($(SWIFT) build --show-bin-path)/desired-state" \
	  "$$($(SWIFT) build $(NESTED) --package-path ReferenceServer --show-bin-path)/reference-server" .build/fleet.html

# The program as it is installed: optimized, and with Swift's own libraries in it. PROGRAM=FILE takes one that is built already.
program:
ifndef PROGRAM
	@Scripts/install-packages $(PACKAGE_PACKAGES)
	$(SWIFT) build -c release --static-swift-stdlib --product desired-state
endif
PROGRAM_FILE = $(or $(PROGRAM),$$($(SWIFT) build -c release --static-swift-stdlib --show-bin-path)/desired-state)

PREFIX ?= /usr/local

install: program ## install program, man pages, completions and unit (PREFIX=/usr/local, DESTDIR=)
	@DESTDIR="$(DESTDIR)" PREFIX="$(PREFIX)" Scripts/install-program "$(PROGRAM_FILE)"

package: program ## build a Debian package into .build/package, and print its size and what it needs
	@Scripts/build-package "$(PROGRAM_FILE)" .build/package

test-package: package ## install, run, upgrade and purge the package in a clean Debian root, under its own systemd
	@Scripts/install-packages debootstrap systemd-container
	Scripts/test-package .build/package/desired-state_*.deb

test-image: package ## build the image of the package with podman, and run a device in it
	@Scripts/install-packages debootstrap podman runc
	Scripts/test-image .build/package/desired-state_*.deb "$(PROGRAM_FILE)"

explained: ## write Documentation/Troubleshooting.md anew from the source
	$(SWIFT) build --product desired-state
	"$$($(SWIFT) build --show-bin-path)/desired-state" explain --markdown > Documentation/Troubleshooting.md

serve: ## a reference fleet manager with a demo client, on 127.0.0.1:8080 (PORT, ADMIN_PORT)
	@Scripts/install-packages $(LIBRARIES)
	$(SWIFT) build $(NESTED) --package-path ReferenceServer --product reference-server
	@Scripts/serve "$$($(SWIFT) build $(NESTED) --package-path ReferenceServer --show-bin-path)/reference-server"

# The symbols that a user of the libraries sees, as JSON; made from a build that is up to date.
GRAPHS = $$($(SWIFT) build --show-bin-path)/../symbolgraph

lint: documented ## check formatting, the English, and that every public symbol is documented
	$(SWIFT) format lint --strict --recursive Sources Tests Benchmarks/Sources Fuzzing/Sources ReferenceServer
	Scripts/measure-english --check 1
	@# LockedValue says why.
	@! grep -rnE '\bMutex[<(]' Sources || { echo "use LockedValue in place of Mutex"; exit 1; }

documented: graphs
	Scripts/check-documentation "$(GRAPHS)"

docs: graphs browser ## build one site of the documentation, with guides and tutorials, into .build/documentation
	Scripts/build-documentation "$(GRAPHS)" .build/documentation

graphs: build
	$(SWIFT) package dump-symbol-graph --minimum-access-level public > /dev/null

format: ## format all sources in place
	$(SWIFT) format --in-place --recursive Sources Tests Benchmarks/Sources Fuzzing/Sources ReferenceServer

examples: requirements ## build and test the packages in Examples, each as its users would have it
	@Scripts/install-packages etcd-server python3-grpcio python3-protobuf
	$(SWIFT) test $(NESTED) --package-path Examples/VendorBackend --test-product desired-state-etcdPackageTests
	$(SWIFT) test $(NESTED) --package-path Examples/EdgeAgent --test-product edge-agentPackageTests
	$(SWIFT) test $(NESTED) --package-path Examples/GRPCBackend --test-product desired-state-grpcPackageTests

# The guide is tried with the agent; a test without it says that it is skipped.
reference-server: requirements browser ## build and test the reference fleet manager
	$(SWIFT) build --product desired-state
	$(SWIFT) test $(NESTED) --package-path ReferenceServer --test-product ReferenceServerPackageTests

# Programs beside this package's that scenarios and comparison run; they are built by now, where these run in 'make test'.
UNOPTIMIZED = $$($(SWIFT) build --show-bin-path)/desired-state
BESIDE = $$($(SWIFT) build $(NESTED) --package-path ReferenceServer --show-bin-path)

beside: requirements
	$(SWIFT) build --product desired-state
	for product in grpc-agent grpc-server; do \
	  $(SWIFT) build $(NESTED) --package-path Examples/GRPCBackend --product $$product || exit; done
	$(SWIFT) build $(NESTED) --package-path ReferenceServer --product reference-server

scenarios: beside ## stand up, break and prove the seven deployment scenarios
	Scenarios/run "$(UNOPTIMIZED)" "$(BESIDE)/reference-server"

# A reduced comparison, whose results must hold; and the report must be what the published results say.
compare-smoke: beside
	Comparison/compare.py --reduced --check --only drop-https,drop-git,margo,grpc,curl,git --parts costs,attacked,inspected \
	  --program "$(UNOPTIMIZED)" --reference-server "$(BESIDE)/reference-server" --grpc "$(BESIDE)"
	Comparison/report.py --check
	Comparison/agreement.py --check Documentation/Comparison/results.json

# The published comparison: all programs as their users have them.
NESTED_RELEASE = $(SWIFT) build -c release $(NESTED)
OPTIMIZED = $$($(SWIFT) build -c release --static-swift-stdlib --show-bin-path)/desired-state
BESIDE_OPTIMIZED = $$($(NESTED_RELEASE) --package-path ReferenceServer --show-bin-path)
COMPARE = Comparison/compare.py --build release --program "$(OPTIMIZED)" --fleet-poll "$(BESIDE_OPTIMIZED)/fleet-poll" \
  --reference-server "$(BESIDE_OPTIMIZED)/reference-server" --grpc "$(BESIDE_OPTIMIZED)"

compare-programs: requirements
	@Scripts/install-packages ostree nghttp2-client
	$(SWIFT) build -c release --static-swift-stdlib --product desired-state
	for product in grpc-agent grpc-server; do \
	  $(NESTED_RELEASE) --package-path Examples/GRPCBackend --product $$product || exit; done
	$(NESTED_RELEASE) --package-path ReferenceServer --product reference-server
	$(NESTED_RELEASE) --package-path Comparison/Fleet

compare: compare-programs ## compare with git, curl, rsync and OSTree over links; an hour or two
	$(COMPARE) --output Documentation/Comparison/results.json
	$(MAKE) comparison-report

compare-again: compare-programs ## run what two runs must agree on once more, and publish how far they do
	rm -f .build/again.json
	$(COMPARE) --parts costs,over --output .build/again.json
	Comparison/agreement.py Documentation/Comparison/results.json .build/again.json --output Documentation/Comparison/agreement.json
	$(MAKE) comparison-report

comparison-report: ## write Documentation/Comparison.md and its charts from the results
	Comparison/report.py

articles: requirements ## do literally what the articles and tutorials say, in empty folders, and play the recordings
	$(SWIFT) build --product desired-state
	Scripts/check-articles "$(UNOPTIMIZED)"

recordings: requirements browser ## write recordings and transcripts of the documentation anew, from the program as it is
	$(SWIFT) build --product desired-state
	Scripts/check-articles --write "$(UNOPTIMIZED)"

bench: requirements ## measure against the peers, as ratios
	@Benchmarks/run

torture: requirements ## fail or kill the agent at every system call that touches store, target and drop
	$(SWIFT) build --product desired-state
	Scripts/torture "$$($(SWIFT) build --show-bin-path)/desired-state"

SECONDS ?= 60

fuzz: requirements ## fuzz each reader of bytes from outside, for a minute (SECONDS)
	@Fuzzing/run $(SECONDS)

SEED ?= 1
SEEDS ?= 2000

simulate: requirements ## years of devices on a virtual clock, from seeds (SEED, SEEDS)
	$(SWIFT) build -c release --build-tests -Xswiftc -enable-testing -Xswiftc -no-warnings-as-errors --scratch-path .build-simulate
	Scripts/simulate .build-simulate/release/*.xctest $(SEED) $(SEEDS)

sanitize: requirements ## run the tests under the thread and address sanitizers
	TSAN_OPTIONS=suppressions=$(CURDIR)/Scripts/thread-sanitizer.suppressions \
	  $(SWIFT) test --sanitize=thread --scratch-path .build-thread --skip CommandLineTests
	$(SWIFT) test --sanitize=address --scratch-path .build-address --skip CommandLineTests

clean: ## remove what was built
	rm -rf .build .build-*/ Benchmarks/.build Fuzzing/.build
