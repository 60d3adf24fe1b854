// swift-tools-version: 6.2
import PackageDescription

let package = Package(
  name: "TwinBackend",
  products: [.library(name: "TwinBackend", targets: ["TwinBackend"])],
  dependencies: [.package(name: "DesiredState", path: "../DesiredState")],
  targets: [
    .target(
      name: "TwinBackend",
      dependencies: [.product(name: "DesiredState", package: "DesiredState")]),
    .testTarget(
      name: "TwinBackendTests",
      dependencies: [
        "TwinBackend", .product(name: "DesiredStateTesting", package: "DesiredState"),
      ]),
  ]
)
