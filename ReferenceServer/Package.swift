// swift-tools-version: 6.2
import PackageDescription

let settings: [SwiftSetting] = [
  .enableUpcomingFeature("ExistentialAny"),
  .treatAllWarnings(as: .error),
]

let package = Package(
  name: "ReferenceServer",
  products: [
    .library(name: "ReferenceServer", targets: ["ReferenceServer"]),
    .executable(name: "reference-server", targets: ["reference-server"]),
  ],
  dependencies: [
    .package(name: "DesiredState", path: ".."),
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.6.0"),
    .package(url: "https://github.com/apple/swift-log", from: "1.6.0"),
    .package(url: "https://github.com/apple/swift-asn1.git", from: "1.1.0"),
    .package(url: "https://github.com/apple/swift-nio", from: "2.80.0"),
    .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.30.0"),
    // Without swift-configuration and the whole of Foundation: nothing here needs them, and they take long to build.
    .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.20.0", traits: []),
    .package(url: "https://github.com/jpsim/Yams", from: "6.0.0"),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.6.0"),
  ],
  targets: [
    // zlib; the name CZlib is taken in the package above.
    .systemLibrary(name: "CDeflate", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
    .target(
      name: "ReferenceServer",
      dependencies: [
        "CDeflate",
        .product(name: "DesiredState", package: "DesiredState"),
        .product(name: "DropPublisher", package: "DesiredState"),
        .product(name: "FileBackend", package: "DesiredState"),
        .product(name: "HTTPMessageSignatures", package: "DesiredState"),
        .product(name: "MargoDocuments", package: "DesiredState"),
        .product(name: "Hummingbird", package: "hummingbird"),
        .product(name: "HummingbirdCore", package: "hummingbird"),
        .product(name: "HummingbirdTLS", package: "hummingbird"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "NIOConcurrencyHelpers", package: "swift-nio"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOSSL", package: "swift-nio-ssl"),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
        .product(name: "SwiftASN1", package: "swift-asn1"),
      ],
      swiftSettings: settings),
    .executableTarget(
      name: "reference-server",
      dependencies: [
        "ReferenceServer",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
      ],
      swiftSettings: settings),
    .testTarget(
      name: "ReferenceServerTests",
      dependencies: [
        "ReferenceServer",
        .product(name: "DesiredState", package: "DesiredState"),
        .product(name: "DesiredStateTesting", package: "DesiredState"),
        .product(name: "DropPublisher", package: "DesiredState"),
        .product(name: "FileBackend", package: "DesiredState"),
        .product(name: "HTTPMessageSignatures", package: "DesiredState"),
        .product(name: "HTTPTransport", package: "DesiredState"),
        .product(name: "MargoDocuments", package: "DesiredState"),
        .product(name: "MargoDeployments", package: "DesiredState"),
        .product(name: "RESTBackend", package: "DesiredState"),
        .product(name: "Yams", package: "Yams"),
      ],
      exclude: ["Fixtures"],
      swiftSettings: settings),
  ]
)
