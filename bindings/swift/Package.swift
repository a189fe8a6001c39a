// swift-tools-version: 6.0
// The core for Swift: generated code, and what is written by hand on top of it. Run by `make swift`.

import PackageDescription

let package = Package(
    name: "Hauspost",
    platforms: [.iOS(.v16), .macOS(.v13)],
    products: [.library(name: "Hauspost", targets: ["Hauspost"])],
    targets: [
        // The library's C header, generated.
        .systemLibrary(name: "HauspostRust"),
        // Generated, in language mode 5: in mode 6 the compiler of Swift 6.0 crashes on it.
        .target(
            name: "HauspostFFI", dependencies: ["HauspostRust"],
            swiftSettings: [.swiftLanguageMode(.v5)]),
        .target(name: "Hauspost", dependencies: ["HauspostFFI"]),
        // P-256 for the tests' key store: Linux has no CryptoKit.
        .systemLibrary(name: "TestCrypto", path: "Tests/TestCrypto"),
        .testTarget(name: "HauspostTests", dependencies: ["Hauspost", "TestCrypto"]),
    ]
)
