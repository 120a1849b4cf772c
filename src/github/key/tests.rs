use proptest::prelude::*;

use super::*;

/// A key made for tests, in PKCS#1.
const PEM: &str = include_str!("../../../tests/fixtures/keys/app.pem");
const OTHER: &str = include_str!("../../../tests/fixtures/keys/other.pem");

/// An elliptic curve key in PKCS#8, without its lines.
const CURVE: &str = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgXeMjn3ckiU7T1iHSAKEyBGeTrOBogd3elYXtOvTH5l+hRANCAAR2Qv5yQ4sXBHhHD1TWR2YsBGH1QsAot3xEF5USfGbY2od5S+itMDMO2F4Sei5vbSnSdXpEg+4032G8+8amZz/P";

fn keys(text: &str) -> Result<Vec<PemKey>, KeyError> {
    PemKey::all(text, "KEY", &Registry::new())
}

fn der() -> Vec<u8> {
    let body: String = PEM.lines().filter(|line| !line.starts_with('-')).collect();
    STANDARD.decode(body).unwrap()
}

/// `content` as an element of DER.
fn wrapped(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    [&[tag, 0x82, length[0], length[1]], content].concat()
}

/// The key in PKCS#8: a version, the algorithm, and the key in PKCS#1 as bytes.
fn pkcs8() -> String {
    let algorithm =
        [0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];
    let content = [&[0x02, 0x01, 0x00][..], &algorithm, &wrapped(0x04, &der())].concat();
    canonical("PRIVATE KEY", &STANDARD.encode(wrapped(0x30, &content)))
}

#[test]
fn the_forms_in_which_a_key_is_passed_on_sign_alike() {
    let expected = keys(PEM).unwrap()[0].sign(b"message").unwrap();
    assert_eq!(expected.len(), 256);
    for text in [
        pkcs8(),
        PEM.replace('\n', "\\n"),
        PEM.replace('\n', "\r\n"),
        PEM.replace('\n', "\\r\\n"),
        PEM.replace('\n', " "),
        PEM.trim().to_owned(),
        format!("\"{}\"", PEM.trim()),
        format!("the key of our App\n\n  {PEM}"),
    ] {
        let keys = keys(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        assert_eq!(keys[0].sign(b"message").unwrap(), expected);
    }
}

#[test]
fn several_keys_keep_their_order_and_are_named() {
    let both = keys(&format!("{PEM}{OTHER}")).unwrap();
    let origins: Vec<&str> = both.iter().map(Signer::origin).collect();
    assert_eq!(origins, ["KEY (key 1)", "KEY (key 2)"]);
    assert_eq!(both[1].sign(b"x").unwrap(), keys(OTHER).unwrap()[0].sign(b"x").unwrap());
}

#[test]
fn what_is_no_key_is_refused_in_plain_words() {
    let small = {
        let modulus = [&[0x02, 0x82, 0x00, 0x81, 0x00][..], &[0xff; 128]].concat();
        let content = [&[0x02, 0x01, 0x00][..], &modulus, &[0x02, 0x01, 0x03]].concat();
        canonical("RSA PRIVATE KEY", &STANDARD.encode(wrapped(0x30, &content)))
    };
    let mut cut: Vec<&str> = PEM.lines().collect();
    cut.remove(5);
    let lines = [
        String::new(),
        "/etc/rungate/app.pem".to_owned(),
        "MIIEowIBAAKCAQEA".to_owned(),
        PEM.lines().next().unwrap().to_owned(),
        PEM.replace('M', "*"),
        cut.join("\n"),
        canonical("ENCRYPTED PRIVATE KEY", "AAAA"),
        canonical("RSA PRIVATE KEY", "AAAA").replace("AAAA", "Proc-Type: 4,ENCRYPTED\nDEK-Info: x\n\nAAAA"),
        canonical("EC PRIVATE KEY", "AAAA"),
        canonical("PRIVATE KEY", CURVE),
        canonical("PUBLIC KEY", "AAAA"),
        canonical("RSA PUBLIC KEY", "AAAA"),
        canonical("CERTIFICATE", "AAAA"),
        canonical("OPENSSH PRIVATE KEY", "AAAA"),
        canonical("PRIVATE KEY", "AAAA"),
        format!("{PEM}{small}"),
    ]
    .map(|text| keys(&text).map_err(|error| error.to_string()).unwrap_err());
    insta::assert_snapshot!(lines.join("\n"), @r"
    KEY holds no private key: there is no line -----BEGIN … PRIVATE KEY-----
    KEY holds no private key: there is no line -----BEGIN … PRIVATE KEY-----
    KEY holds no private key: there is no line -----BEGIN … PRIVATE KEY-----
    the private key in KEY is damaged: its last line is missing
    the private key in KEY is damaged: it is not base64
    the private key in KEY is damaged: a part of it is missing or was changed
    the private key in KEY is encrypted
    the private key in KEY is encrypted
    KEY holds an elliptic curve key instead of the private key of a GitHub App
    KEY holds an elliptic curve key instead of the private key of a GitHub App
    KEY holds a public key instead of the private key of a GitHub App
    KEY holds a public key instead of the private key of a GitHub App
    KEY holds a certificate instead of the private key of a GitHub App
    KEY holds an SSH key instead of the private key of a GitHub App
    the private key in KEY is damaged: a part of it is missing or was changed
    the private key in KEY (key 2) has 1024 bits
    ");
}

#[test]
fn a_key_is_hidden_whatever_becomes_of_it() {
    for text in [PEM.to_owned(), PEM.replace('\n', "\\n"), PEM.replace("-----END", "-----FIN")] {
        let registry = Registry::new();
        let result = PemKey::all(&text, "KEY", &registry);
        let line = PEM.lines().nth(3).unwrap();
        assert_eq!(registry.text(&format!("<{line}>")), "<***>", "{result:?}");
        assert!(!format!("{result:?}").contains(line));
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_of_sizes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let _ = modulus_bits(&bytes);
    }

    #[test]
    fn a_key_with_a_changed_byte_is_refused_or_read(at in 0_usize..1600, byte in any::<u8>()) {
        let mut text = PEM.as_bytes().to_vec();
        let at = at % text.len();
        text[at] = byte;
        if let Ok(text) = String::from_utf8(text) && let Ok(keys) = keys(&text) {
            // It may have become another number; then signing says so.
            let _ = keys[0].sign(b"x");
        }
    }
}
