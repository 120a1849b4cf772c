use proptest::prelude::*;

use super::*;

fn of(pairs: &[(&'static str, &'static str)]) -> String {
    match Host::of_environ(&Environ::of(pairs.iter().copied())) {
        Ok(host) => format!("{} | {} | {:?}", host.page(""), host.api(), host.kind()),
        Err(error) => format!("{error}; {}", error.remedy()),
    }
}

#[test]
fn the_environment_names_the_server() {
    let (api, server) = ("GITHUB_API_URL", "GITHUB_SERVER_URL");
    let lines = [
        of(&[]),
        of(&[(api, "")]),
        of(&[(server, "https://github.com")]),
        of(&[(server, "https://Octo.GHE.com/")]),
        of(&[(server, "https://git.example.com:8443")]),
        of(&[(server, "https://git.example.com/prefix/")]),
        of(&[(api, "https://api.octo.ghe.com")]),
        of(&[(api, "https://git.example.com/api/v3/")]),
        of(&[(api, "http://127.0.0.1:8080/api/v3")]),
        of(&[(api, "http://[::1]:8080")]),
        of(&[(api, "https://elsewhere.example/x"), (server, "https://github.com")]),
        of(&[(server, "http://localhost:3000")]),
        of(&[(api, "http://git.example.com/api/v3")]),
        of(&[(api, "git.example.com")]),
        of(&[(api, "https://user:hunter2@git.example.com/api/v3")]),
        of(&[(api, "https://git.example.com/api/v3?x=1")]),
        of(&[(server, "ssh://git.example.com")]),
    ];
    insta::assert_snapshot!(lines.join("\n"), @r#"
    https://github.com | https://api.github.com | Dotcom
    https://github.com | https://api.github.com | Dotcom
    https://github.com | https://api.github.com | Dotcom
    https://octo.ghe.com | https://api.octo.ghe.com | DataResidency
    https://git.example.com:8443 | https://git.example.com:8443/api/v3 | Server
    https://git.example.com/prefix | https://git.example.com/prefix/api/v3 | Server
    https://octo.ghe.com | https://api.octo.ghe.com | DataResidency
    https://git.example.com | https://git.example.com/api/v3 | Server
    http://127.0.0.1:8080 | http://127.0.0.1:8080/api/v3 | Server
    http://[::1]:8080 | http://[::1]:8080 | Server
    https://github.com | https://elsewhere.example/x | Dotcom
    http://localhost:3000 | http://localhost:3000/api/v3 | Server
    GITHUB_API_URL is "http://git.example.com/api/v3", which is no usable address: a token must not travel in clear text; only this machine may be spoken to by http://; set GITHUB_API_URL to an address such as https://github.example.com/api/v3, or leave it unset
    GITHUB_API_URL is "git.example.com", which is no usable address: it does not begin with https:// and a host name; set GITHUB_API_URL to an address such as https://github.example.com/api/v3, or leave it unset
    GITHUB_API_URL is "git.example.com/api/v3", which is no usable address: it holds a user or a password; set GITHUB_API_URL to an address such as https://github.example.com/api/v3, or leave it unset
    GITHUB_API_URL is "https://git.example.com/api/v3?x=1", which is no usable address: something follows its path; set GITHUB_API_URL to an address such as https://github.example.com/api/v3, or leave it unset
    GITHUB_SERVER_URL is "ssh://git.example.com", which is no usable address: its scheme is not https; set GITHUB_SERVER_URL to an address such as https://github.example.com, or leave it unset
    "#);
}

#[test]
fn a_bare_name_is_wanted_and_nothing_else() {
    for (name, api) in [
        ("github.com", "https://api.github.com"),
        ("GitHub.com", "https://api.github.com"),
        ("octo.ghe.com", "https://api.octo.ghe.com"),
        ("notghe.com", "https://notghe.com/api/v3"),
        ("ghe.com", "https://ghe.com/api/v3"),
        ("github.example.com:8443", "https://github.example.com:8443/api/v3"),
        (" 10.0.0.1 ", "https://10.0.0.1/api/v3"),
        ("[::1]:8443", "https://[::1]:8443/api/v3"),
    ] {
        assert_eq!(Host::of_name(name).unwrap().api(), api);
    }
    for name in [
        "",
        "https://github.com",
        "github.com/",
        "github.com/api/v3",
        "//github.com",
        "user@github.com",
        "github.com:x",
        "github.com:99999",
        "github.com?x",
        "github.com#x",
        "git hub.com",
        "github.com\\x",
        ".github.com",
    ] {
        assert_eq!(
            Host::of_name(name).map_err(|error| matches!(error, HostError::NotBare(_))),
            Err(true),
            "{name}"
        );
    }
}

#[test]
fn only_enterprise_server_is_enterprise_server() {
    for (name, is_ghes) in [
        ("github.com", false),
        ("GITHUB.COM", false),
        ("octo.ghe.com", false),
        ("dev.localhost", false),
        ("git.example.com", true),
        ("github.com.example.com", true),
    ] {
        assert_eq!(Host::of_name(name).unwrap().is_ghes(), is_ghes, "{name}");
    }
}

#[test]
fn what_does_not_belong_to_the_api_is_refused() {
    let host = Host::of_name("git.example.com").unwrap();
    assert_eq!(host.endpoint("/repos/a/b").unwrap().as_str(), "https://git.example.com/api/v3/repos/a/b");
    let next = "https://git.example.com/api/v3/repositories/1/x?page=2";
    assert_eq!(host.endpoint(next).unwrap().as_str(), next);
    for target in [
        "/../../x",
        "/repos/../../../x",
        "https://git.example.com/api/v3",
        "https://git.example.com/api/v33/x",
        "https://git.example.com/x",
        "https://evil.example/api/v3/x",
        "http://git.example.com/api/v3/x",
        "https://git.example.com:8443/api/v3/x",
        "https://u:p@git.example.com/api/v3/x",
        "repos/a/b",
        "",
    ] {
        assert!(host.endpoint(target).is_err(), "{target}");
    }
}

/// Whether no part of `name` claims to be another script in disguise, which most texts behind `xn--` are not.
fn is_plain(name: &str) -> bool {
    !name.split('.').any(|part| part.starts_with("xn--"))
}

proptest! {
    #[test]
    fn the_base_path_is_never_dropped(
        name in "[a-z][a-z0-9-]{0,10}(\\.[a-z][a-z0-9]{1,8}){1,3}",
        port in proptest::option::of(1024_u16..),
        path in "(/[a-zA-Z0-9._-]{1,12}){0,4}",
        query in "(\\?[a-z]{1,5}=[a-z%20]{0,5})?",
    ) {
        prop_assume!(is_plain(&name));
        let name = port.map_or_else(|| name.clone(), |port| format!("{name}:{port}"));
        let host = Host::of_name(&name).unwrap();
        let target = format!("/repos{path}{query}");
        match host.endpoint(&target) {
            Ok(url) => {
                prop_assert!(url.as_str().starts_with(&format!("{}/", host.api())), "{url}");
                prop_assert!(url.as_str().starts_with("https://"));
            }
            // Only a path that climbs is refused.
            Err(_) => prop_assert!(path.split('/').any(|part| part == "..")),
        }
    }

    #[test]
    fn a_server_and_its_api_name_each_other(name in "[a-z][a-z0-9-]{0,10}(\\.[a-z][a-z0-9]{1,8}){1,3}") {
        prop_assume!(is_plain(&name));
        for name in [name.clone(), format!("{name}.ghe.com"), "github.com".to_owned()] {
            let host = Host::of_name(&name).unwrap();
            let again = Host::of_environ(&Environ::of([("GITHUB_API_URL", host.api())])).unwrap();
            prop_assert_eq!(&again, &host);
        }
    }

    #[test]
    fn no_name_makes_it_leave_https_or_panic(name in "\\PC{0,30}") {
        if let Ok(host) = Host::of_name(&name) {
            prop_assert!(host.api().starts_with("https://"));
            prop_assert!(!host.name().contains('/'));
        }
    }
}
