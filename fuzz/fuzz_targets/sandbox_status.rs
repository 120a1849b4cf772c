//! The status pipe of a helper: frames of one length. Whatever the bytes are, each frame is read or refused, what was read
//! survives another way through the pipe, and what a person is told of it is one line.

#![no_main]

use libfuzzer_sys::fuzz_target;
use rungate::sandbox::status::{FRAME, Status};

fuzz_target!(|data: &[u8]| {
    let (frames, _rest) = data.as_chunks::<FRAME>();
    for frame in frames {
        let Some(status) = Status::decode(frame) else { continue };
        assert_eq!(Status::decode(&status.encode()), Some(status));
        if let Status::Failed(error) = status {
            let text = error.to_string();
            assert!(!text.chars().any(char::is_control), "{text:?}");
            let _hint = error.call.remedy(error.errno);
        }
    }
});
