// swift-tools-version: 6.2
import PackageDescription

// Built by Fuzzing/run, which says how: for fuzzing in earnest with libFuzzer's instrumentation in every module, and testable,
// because some of what is fuzzed is not public.
let package = Package(
  name: "Fuzzing",
  dependencies: [.package(name: "DesiredState", path: "..")],
  targets: [
    .executableTarget(
      name: "Fuzz",
      dependencies: [
        .product(name: "DesiredState", package: "DesiredState"),
        .product(name: "DropPublisher", package: "DesiredState"),
        .product(name: "FileBackend", package: "DesiredState"),
        .product(name: "GitBackend", package: "DesiredState"),
        .product(name: "HTTPMessageSignatures", package: "DesiredState"),
        .product(name: "SSHSignatures", package: "DesiredState"),
      ],
      swiftSettings: [.enableUpcomingFeature("ExistentialAny"), .unsafeFlags(["-parse-as-library", "-sanitize=fuzzer"])],
      linkerSettings: [.unsafeFlags(["-sanitize=fuzzer"])])
  ]
)
