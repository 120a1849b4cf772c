//! The launch spec that a helper reads. Whatever the bytes are, it answers; and there is one form of a spec only, so what is
//! accepted comes back as the same bytes.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use rungate::sandbox::seccomp::Program;
use rungate::sandbox::spec::{Ending, Spec};

/// The first bytes of every spec, which the fuzzer need not find by itself.
static MAGIC: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let spec = Spec {
        program: c"/".into(),
        argv: Vec::new(),
        env: Vec::new(),
        cwd: c"/".into(),
        ending: Ending::Trial,
        confined: None,
    };
    spec.encode()[..4].to_vec()
});

fuzz_target!(|data: &[u8]| {
    let _refused = Spec::decode(data);
    let bytes = [&MAGIC, data].concat();
    let Ok(spec) = Spec::decode(&bytes) else { return };
    assert_eq!(spec.encode(), bytes);
    let filter =
        spec.confined.and_then(|confined| Some((Program::from_bytes(&confined.filter.0)?, confined.filter)));
    if let Some((program, filter)) = filter {
        assert_eq!(program.to_bytes(), filter.0);
    }
});
