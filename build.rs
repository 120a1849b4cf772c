//! Settings of the linker that Cargo has no key for.

use std::env;

#[expect(clippy::disallowed_methods, reason = "this is how Cargo tells a build script what is built")]
fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|found| found == value);
    // A static program relocates itself each time it starts, and a sandbox starts this one twice. Packed, 26,000 entries
    // are 7 KB to read instead of 600 KB. Where glibc loads the program, that would need glibc 2.36. A linker that does not
    // know the word warns and goes on.
    if is("CARGO_CFG_TARGET_ENV", "musl") && is("CARGO_CFG_TARGET_OS", "linux") {
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}
