// swift-tools-version: 6.2
import PackageDescription

// One place for what every target is compiled with. Warnings are errors in this package;
// SwiftPM ignores that setting when the package is a dependency.
let settings: [SwiftSetting] = [
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .treatAllWarnings(as: .error),
]

let package = Package(
  name: "DesiredState",
  products: [
    .library(name: "DesiredState", targets: ["DesiredState"]),
    .library(name: "DesiredStateService", targets: ["DesiredStateService"]),
    .library(name: "FileBackend", targets: ["FileBackend"]),
    .library(name: "RESTBackend", targets: ["RESTBackend"]),
    .library(name: "GitBackend", targets: ["GitBackend"]),
    .library(name: "MargoDocuments", targets: ["MargoDocuments"]),
    .library(name: "MargoDeployments", targets: ["MargoDeployments"]),
    .library(name: "DropPublisher", targets: ["DropPublisher"]),
    .library(name: "SSHSignatures", targets: ["SSHSignatures"]),
    .library(name: "HTTPMessageSignatures", targets: ["HTTPMessageSignatures"]),
    .library(name: "HTTPTransport", targets: ["HTTPTransport"]),
    .library(name: "DesiredStateTesting", targets: ["DesiredStateTesting"]),
    .executable(name: "desired-state", targets: ["desired-state"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.6.0"),
    .package(url: "https://github.com/apple/swift-crypto", from: "4.0.0"),
    .package(url: "https://github.com/apple/swift-http-structured-headers", from: "1.2.0"),
    .package(url: "https://github.com/apple/swift-http-types", from: "1.0.0"),
    .package(url: "https://github.com/apple/swift-log", from: "1.6.0"),
    .package(url: "https://github.com/apple/swift-metrics", from: "2.5.0"),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.6.0"),
    .package(url: "https://github.com/apple/swift-system", from: "1.4.0"),
    // For MargoDeployments alone.
    .package(url: "https://github.com/jpsim/Yams", from: "6.0.0"),
    // Without its Foundation trait: the command line is linked against FoundationEssentials alone.
    .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.0", traits: []),
  ],
  targets: [
    // What Glibc's Swift overlay does not show: header-only C shims.
    .target(name: "CLinux"),
    .systemLibrary(name: "CArchive", pkgConfig: "libarchive", providers: [.apt(["libarchive-dev"])]),
    // Package-only: files, blocking work and time limits, text.
    .target(
      name: "DesiredStateSupport",
      dependencies: ["CLinux", .product(name: "SystemPackage", package: "swift-system")],
      swiftSettings: settings),
    // SSH signatures, allowed signers: useful by itself, without a word of the core.
    .target(
      name: "SSHSignatures",
      dependencies: [
        "DesiredStateSupport",
        .product(name: "Crypto", package: "swift-crypto"),
        .product(name: "CryptoExtras", package: "swift-crypto"),
      ],
      swiftSettings: settings),
    .target(
      name: "DesiredState",
      dependencies: [
        "CLinux", "DesiredStateSupport", "SSHSignatures",
        .product(name: "CoreMetrics", package: "swift-metrics"),
        .product(name: "Crypto", package: "swift-crypto"),
        .product(name: "Logging", package: "swift-log"),
      ],
      swiftSettings: settings),
    // The loop as a service, apart from the core so that agents without swift-service-lifecycle do not link it.
    .target(
      name: "DesiredStateService",
      dependencies: [
        "DesiredState", .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
      ],
      swiftSettings: settings),
    // Reading .tar.gz archives from anywhere.
    .target(
      name: "DropArchive",
      dependencies: ["DesiredState", "DesiredStateSupport", "CArchive"],
      swiftSettings: settings),
    .target(
      name: "FileBackend",
      dependencies: ["DesiredState", "DesiredStateSupport", "DropArchive", "CLinux"],
      swiftSettings: settings),
    // The orchestrator's side: writes and signs drops, to a disk, an archive, a repository.
    .target(
      name: "DropPublisher",
      dependencies: [
        "CArchive", "DesiredState", "DesiredStateSupport", "FileBackend", "GitBackend", "SSHSignatures",
        .product(name: "Subprocess", package: "swift-subprocess"),
        .product(name: "SystemPackage", package: "swift-system"),
      ],
      swiftSettings: settings),
    .systemLibrary(name: "CCurl", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev", "libssl-dev"])]),
    .target(
      name: "HTTPTransport",
      dependencies: [
        "CCurl", "CLinux", "CZlib", "DesiredStateSupport", .product(name: "HTTPTypes", package: "swift-http-types"),
      ],
      swiftSettings: settings),
    // RFC 9421 and RFC 9530, for requests and responses, clients and servers.
    .target(
      name: "HTTPMessageSignatures",
      dependencies: [
        "DesiredStateSupport",
        .product(name: "Crypto", package: "swift-crypto"),
        .product(name: "CryptoExtras", package: "swift-crypto"),
        .product(name: "HTTPTypes", package: "swift-http-types"),
        .product(name: "RawStructuredFieldValues", package: "swift-http-structured-headers"),
      ],
      swiftSettings: settings),
    // What every backend over HTTP has to say in the core's words: settings, errors, Retry-After.
    .target(
      name: "HTTPBackendSupport",
      dependencies: [
        "DesiredState", "DesiredStateSupport", "DropArchive", "HTTPMessageSignatures", "HTTPTransport",
        .product(name: "HTTPTypes", package: "swift-http-types"),
      ],
      swiftSettings: settings),
    // The documents of the Margo specification that devices write and read; no transport, no YAML.
    .target(name: "MargoDocuments", dependencies: ["DesiredStateSupport"], swiftSettings: settings),
    // Deployments as they are published, in YAML: apart, so that no agent without them links it.
    .target(
      name: "MargoDeployments",
      dependencies: [
        "DesiredState", "DesiredStateSupport", "MargoDocuments", .product(name: "Yams", package: "Yams"),
      ],
      swiftSettings: settings),
    .target(
      name: "RESTBackend",
      dependencies: [
        "DesiredState", "DesiredStateSupport", "HTTPMessageSignatures", "HTTPBackendSupport", "HTTPTransport",
        "MargoDocuments",
        .product(name: "HTTPTypes", package: "swift-http-types"),
        .product(name: "Logging", package: "swift-log"),
      ],
      swiftSettings: settings),
    .systemLibrary(name: "CGit2", pkgConfig: "libgit2", providers: [.apt(["libgit2-dev"])]),
    .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
    .target(
      name: "GitBackend",
      dependencies: [
        "CGit2", "CZlib", "DesiredState", "DesiredStateSupport", "HTTPBackendSupport", "HTTPTransport",
        .product(name: "HTTPTypes", package: "swift-http-types"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "Subprocess", package: "swift-subprocess"),
      ],
      swiftSettings: settings),
    .target(
      name: "DesiredStateTesting",
      dependencies: [
        "CLinux", "DesiredState", "DesiredStateSupport", .product(name: "Crypto", package: "swift-crypto"),
      ],
      swiftSettings: settings),
    .executableTarget(
      name: "desired-state",
      dependencies: [
        "DesiredState", "DesiredStateSupport", "DropPublisher", "FileBackend", "GitBackend",
        "HTTPBackendSupport", "HTTPMessageSignatures", "MargoDocuments", "RESTBackend", "SSHSignatures",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "Subprocess", package: "swift-subprocess"),
        .product(name: "SystemPackage", package: "swift-system"),
      ],
      swiftSettings: settings),
    .testTarget(
      name: "DesiredStateTests",
      dependencies: [
        "DesiredState", "DesiredStateSupport", "DesiredStateTesting", "TestSupport",
        .product(name: "CoreMetrics", package: "swift-metrics"), .product(name: "Logging", package: "swift-log"),
        .product(name: "MetricsTestKit", package: "swift-metrics"),
      ],
      swiftSettings: settings),
    .testTarget(
      name: "DesiredStateServiceTests",
      dependencies: [
        "DesiredState", "DesiredStateService", "DesiredStateTesting",
        .product(name: "Logging", package: "swift-log"),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
      ],
      swiftSettings: settings),
    .testTarget(
      name: "DesiredStateSupportTests",
      dependencies: ["DesiredStateSupport"],
      swiftSettings: settings),
    .testTarget(
      name: "SSHSignaturesTests",
      dependencies: ["SSHSignatures", .product(name: "Crypto", package: "swift-crypto")],
      swiftSettings: settings),
    .testTarget(
      name: "DesiredStateTestingTests",
      dependencies: ["DesiredState", "DesiredStateTesting", "SSHSignatures"],
      swiftSettings: settings),
    .testTarget(
      name: "FileBackendTests",
      dependencies: [
        "DesiredState", "DesiredStateSupport", "DesiredStateTesting", "DropPublisher", "FileBackend", "TestSupport",
      ],
      swiftSettings: settings),
    .testTarget(
      name: "DropPublisherTests",
      dependencies: [
        "DesiredState", "DesiredStateSupport", "DesiredStateTesting", "DropPublisher", "FileBackend", "TestSupport",
      ],
      swiftSettings: settings),
    // Files, programs and ports, for the tests of whatever needs them.
    .target(
      name: "TestSupport",
      dependencies: [
        "DesiredState", "DesiredStateSupport", "DesiredStateTesting", "DropPublisher",
        .product(name: "Subprocess", package: "swift-subprocess"),
      ],
      path: "Tests/TestSupport",
      swiftSettings: settings),
    // Servers and proxies, real ones and hostile ones, for the tests of whatever speaks HTTP.
    .target(
      name: "HTTPTestSupport",
      dependencies: ["HTTPTransport", "TestSupport", .product(name: "HTTPTypes", package: "swift-http-types")],
      path: "Tests/HTTPTestSupport",
      exclude: ["Fixtures"],
      swiftSettings: settings),
    // Devices, repositories and servers of Git, for its tests and the kit's.
    .target(
      name: "GitTestSupport",
      dependencies: [
        "DesiredState", "DesiredStateSupport", "DesiredStateTesting", "DropPublisher", "FileBackend", "GitBackend",
        "HTTPTestSupport", "TestSupport", .product(name: "Subprocess", package: "swift-subprocess"),
      ],
      path: "Tests/GitTestSupport",
      exclude: ["Fixtures"],
      swiftSettings: settings),
    // Sites that publish drops and fleet managers, for the tests of the backends over HTTP and the kit's.
    .target(
      name: "RESTTestSupport",
      dependencies: [
        "DesiredState", "DesiredStateSupport", "DesiredStateTesting", "DropPublisher", "HTTPBackendSupport",
        "HTTPMessageSignatures", "HTTPTestSupport", "HTTPTransport", "RESTBackend", "TestSupport",
        .product(name: "HTTPTypes", package: "swift-http-types"),
      ],
      path: "Tests/RESTTestSupport",
      swiftSettings: settings),
    // The kit, tried on every backend: one process of its own, whose files and memory it counts.
    .testTarget(
      name: "ConformanceTests",
      dependencies: [
        "DesiredState", "DesiredStateSupport", "DesiredStateTesting", "DropPublisher", "FileBackend", "GitBackend",
        "GitTestSupport", "HTTPTestSupport", "HTTPTransport", "RESTBackend", "RESTTestSupport", "TestSupport",
      ],
      swiftSettings: settings),
    // Hundreds of updates in a row, one backend after another, in a process whose files and memory they count.
    .testTarget(
      name: "EnduranceTests",
      dependencies: [
        "DesiredState", "DesiredStateSupport", "DesiredStateTesting", "DropPublisher", "FileBackend", "GitBackend",
        "GitTestSupport", "HTTPTestSupport", "HTTPTransport", "RESTBackend", "RESTTestSupport", "TestSupport",
      ],
      swiftSettings: settings),
    .testTarget(
      name: "GitBackendTests",
      dependencies: [
        // The program itself is a dependency so that it is built; the tests only run it.
        "desired-state", "DesiredState", "DesiredStateSupport", "DesiredStateTesting", "DropPublisher", "FileBackend",
        "GitBackend", "GitTestSupport", "HTTPTestSupport", "TestSupport",
        .product(name: "Subprocess", package: "swift-subprocess"),
      ],
      swiftSettings: settings),
    .testTarget(
      name: "HTTPTransportTests",
      dependencies: [
        "HTTPTestSupport", "HTTPTransport", "TestSupport", .product(name: "HTTPTypes", package: "swift-http-types"),
      ],
      swiftSettings: settings),
    .testTarget(
      name: "HTTPMessageSignaturesTests",
      dependencies: [
        "HTTPMessageSignatures", .product(name: "Crypto", package: "swift-crypto"),
        .product(name: "CryptoExtras", package: "swift-crypto"),
        .product(name: "HTTPTypes", package: "swift-http-types"),
      ],
      swiftSettings: settings),
    .testTarget(name: "MargoDocumentsTests", dependencies: ["MargoDocuments"], swiftSettings: settings),
    .testTarget(
      name: "MargoDeploymentsTests",
      dependencies: ["DesiredState", "DesiredStateTesting", "MargoDeployments", "MargoDocuments", "TestSupport"],
      swiftSettings: settings),
    .testTarget(
      name: "RESTBackendTests",
      dependencies: [
        "DesiredState", "DesiredStateSupport", "DesiredStateTesting", "DropPublisher", "FileBackend",
        "HTTPBackendSupport", "HTTPMessageSignatures", "HTTPTestSupport", "HTTPTransport", "MargoDocuments",
        "RESTBackend", "RESTTestSupport", "TestSupport", .product(name: "HTTPTypes", package: "swift-http-types"),
      ],
      swiftSettings: settings),
    .testTarget(
      name: "CommandLineTests",
      // The program itself is a dependency so that it is built; the tests only run it.
      dependencies: [
        "desired-state", "HTTPTestSupport", "TestSupport", .product(name: "Subprocess", package: "swift-subprocess"),
      ],
      swiftSettings: settings),
  ]
)
