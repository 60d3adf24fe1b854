// swift-tools-version: 6.2
import PackageDescription

// One place for what every target is compiled with. Warnings are errors in this package;
// SwiftPM ignores that setting when the package is somebody's dependency.
let settings: [SwiftSetting] = [
  .enableUpcomingFeature("ExistentialAny"),
  .treatAllWarnings(as: .error),
]

let package = Package(
  name: "DesiredState",
  products: [
    .library(name: "DesiredState", targets: ["DesiredState"]),
    .library(name: "FileBackend", targets: ["FileBackend"]),
    .library(name: "RESTBackend", targets: ["RESTBackend"]),
    .library(name: "GitBackend", targets: ["GitBackend"]),
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
    // Without its Foundation trait: the command line is linked against FoundationEssentials alone.
    .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.0", traits: []),
  ],
  targets: [
    // What Glibc's Swift overlay does not show: header-only C shims.
    .target(name: "CLinux"),
    .systemLibrary(name: "CArchive", pkgConfig: "libarchive", providers: [.apt(["libarchive-dev"])]),
    .target(
      name: "DesiredState",
      dependencies: [
        "CLinux",
        .product(name: "Crypto", package: "swift-crypto"),
        .product(name: "CryptoExtras", package: "swift-crypto"),
        .product(name: "Logging", package: "swift-log"),
      ],
      swiftSettings: settings),
    // Reading .tar.gz archives that nobody vouches for.
    .target(
      name: "DropArchive",
      dependencies: ["DesiredState", "CArchive"],
      swiftSettings: settings),
    .target(
      name: "FileBackend",
      dependencies: ["DesiredState", "DropArchive", "CArchive", "CLinux"],
      swiftSettings: settings),
    .systemLibrary(name: "CCurl", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev", "libssl-dev"])]),
    .target(
      name: "HTTPTransport",
      dependencies: ["CCurl", .product(name: "HTTPTypes", package: "swift-http-types")],
      swiftSettings: settings),
    // RFC 9421 and RFC 9530, for requests and responses, clients and servers.
    .target(
      name: "HTTPMessageSignatures",
      dependencies: [
        .product(name: "Crypto", package: "swift-crypto"),
        .product(name: "CryptoExtras", package: "swift-crypto"),
        .product(name: "HTTPTypes", package: "swift-http-types"),
        .product(name: "RawStructuredFieldValues", package: "swift-http-structured-headers"),
      ],
      swiftSettings: settings + [.enableUpcomingFeature("InternalImportsByDefault")]),
    // What every backend over HTTP has to say in the core's words: settings, errors, Retry-After.
    .target(
      name: "HTTPSource",
      dependencies: ["DesiredState", "DropArchive", "HTTPMessageSignatures", "HTTPTransport", "CLinux", .product(name: "HTTPTypes", package: "swift-http-types")],
      swiftSettings: settings + [.enableUpcomingFeature("InternalImportsByDefault")]),
    .target(
      name: "RESTBackend",
      dependencies: [
        "DesiredState", "HTTPMessageSignatures", "HTTPSource", "HTTPTransport",
        .product(name: "HTTPTypes", package: "swift-http-types"),
        .product(name: "Logging", package: "swift-log"),
      ],
      swiftSettings: settings),
    .systemLibrary(name: "CGit2", pkgConfig: "libgit2", providers: [.apt(["libgit2-dev"])]),
    .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
    .target(
      name: "GitBackend",
      dependencies: [
        "CGit2", "CZlib", "DesiredState", "HTTPSource", "HTTPTransport",
        .product(name: "HTTPTypes", package: "swift-http-types"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "Subprocess", package: "swift-subprocess"),
      ],
      swiftSettings: settings),
    .target(
      name: "DesiredStateTesting",
      dependencies: ["CLinux", "DesiredState", .product(name: "Crypto", package: "swift-crypto")],
      swiftSettings: settings),
    .executableTarget(
      name: "desired-state",
      dependencies: [
        "DesiredState", "FileBackend", "GitBackend", "HTTPMessageSignatures", "HTTPSource", "RESTBackend",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "Subprocess", package: "swift-subprocess"),
      ],
      swiftSettings: settings),
    .testTarget(
      name: "DesiredStateTests",
      dependencies: ["DesiredState", "DesiredStateTesting"],
      swiftSettings: settings),
    .testTarget(
      name: "DesiredStateTestingTests",
      dependencies: ["DesiredState", "DesiredStateTesting"],
      swiftSettings: settings),
    .testTarget(
      name: "FileBackendTests",
      dependencies: ["DesiredState", "FileBackend", "DesiredStateTesting", "TestSupport"],
      swiftSettings: settings),
    // Files, programs and ports, for the tests of whatever needs them.
    .target(
      name: "TestSupport",
      dependencies: [
        "DesiredState", "DesiredStateTesting", .product(name: "Subprocess", package: "swift-subprocess"),
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
    .testTarget(
      name: "GitBackendTests",
      dependencies: [
        // The program itself is a dependency so that it is built; the tests only run it.
        "desired-state", "DesiredState", "DesiredStateTesting", "FileBackend", "GitBackend", "HTTPTestSupport",
        "TestSupport", .product(name: "Subprocess", package: "swift-subprocess"),
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
    .testTarget(
      name: "RESTBackendTests",
      dependencies: [
        "DesiredState", "DesiredStateTesting", "HTTPMessageSignatures", "FileBackend", "HTTPSource", "HTTPTestSupport",
        "HTTPTransport", "RESTBackend", "TestSupport", .product(name: "HTTPTypes", package: "swift-http-types"),
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
