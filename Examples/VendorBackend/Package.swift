// swift-tools-version: 6.2
import PackageDescription

let settings: [SwiftSetting] = [
  .enableUpcomingFeature("ExistentialAny"),
  .treatAllWarnings(as: .error),
]

let package = Package(
  name: "desired-state-etcd",
  products: [.library(name: "EtcdBackend", targets: ["EtcdBackend"])],
  dependencies: [
    // In a repository of your own: .package(url: "…/DesiredState", from: "…").
    .package(name: "DesiredState", path: "../.."),
    .package(url: "https://github.com/apple/swift-nio", from: "2.80.0"),
  ],
  targets: [
    .target(
      name: "EtcdBackend",
      dependencies: [
        .product(name: "DesiredState", package: "DesiredState"),
        .product(name: "NIOConcurrencyHelpers", package: "swift-nio"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOHTTP1", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
      ],
      swiftSettings: settings),
    .testTarget(
      name: "EtcdBackendTests",
      dependencies: [
        "EtcdBackend",
        .product(name: "DesiredState", package: "DesiredState"),
        .product(name: "DesiredStateTesting", package: "DesiredState"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOHTTP1", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
      ],
      swiftSettings: settings),
  ]
)
