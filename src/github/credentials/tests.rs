use super::*;

const PEM: &str = include_str!("../../../tests/fixtures/keys/app.pem");

fn of(pairs: &[(&str, &str)]) -> String {
    match Credentials::of_environ(&Environ::of(pairs.iter().copied()), &Registry::new()) {
        Ok(credentials) => format!("{credentials:?}"),
        Err(error) => format!("{error}; {}", error.remedy()),
    }
}

#[test]
fn what_is_set_decides_and_what_is_wrong_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("app.pem");
    std::fs::write(&file, PEM).unwrap();
    let (id, key) = (("RUNGATE_APP_ID", " Iv23abc\n"), ("RUNGATE_APP_PRIVATE_KEY", PEM));
    let file = ("RUNGATE_APP_PRIVATE_KEY_FILE", file.to_str().unwrap());
    let token = ("RUNGATE_TOKEN", "ghs_x.y-z_0123456789\n");
    let lines = [
        of(&[]),
        of(&[token]),
        of(&[("RUNGATE_TOKEN", "two words")]),
        of(&[id, key, ("RUNGATE_INSTALLATION_ID", "42")]),
        of(&[id, key, token]),
        of(&[id, file]).replace(file.1, "FILE"),
        of(&[id, key, file]).replace(file.1, "FILE"),
        of(&[id]),
        of(&[id, token]),
        of(&[key]),
        of(&[file]),
        of(&[("RUNGATE_APP_ID", "my app"), key]),
        of(&[("RUNGATE_APP_ID", PEM), key]),
        of(&[id, key, ("RUNGATE_INSTALLATION_ID", "octo")]),
        of(&[id, ("RUNGATE_APP_PRIVATE_KEY_REF", "vault:x")]),
        of(&[id, ("RUNGATE_APP_PRIVATE_KEY_FILE", "/nowhere/app.pem")]),
        of(&[id, ("RUNGATE_APP_PRIVATE_KEY_FILE", "/")]),
    ];
    insta::assert_snapshot!(lines.join("\n"), @r#"
    there are no credentials for GitHub; the administrator of the runner has to set RUNGATE_APP_ID and RUNGATE_APP_PRIVATE_KEY_FILE, or RUNGATE_TOKEN
    Token(***)
    RUNGATE_TOKEN holds characters that no token has; set it again, as one line
    App(AppCredentials { id: "Iv23abc", keys: ["RUNGATE_APP_PRIVATE_KEY"], installation: Some(42) })
    App(AppCredentials { id: "Iv23abc", keys: ["RUNGATE_APP_PRIVATE_KEY"], installation: None })
    App(AppCredentials { id: "Iv23abc", keys: ["FILE"], installation: None })
    App(AppCredentials { id: "Iv23abc", keys: ["RUNGATE_APP_PRIVATE_KEY", "FILE"], installation: None })
    RUNGATE_APP_ID is set, and no private key; set RUNGATE_APP_PRIVATE_KEY_FILE to the App's .pem file, or RUNGATE_APP_PRIVATE_KEY to its text
    RUNGATE_APP_ID is set, and no private key; set RUNGATE_APP_PRIVATE_KEY_FILE to the App's .pem file, or RUNGATE_APP_PRIVATE_KEY to its text
    RUNGATE_APP_PRIVATE_KEY is set, and RUNGATE_APP_ID is not; set RUNGATE_APP_ID to the client id on the App's settings page
    RUNGATE_APP_PRIVATE_KEY_FILE is set, and RUNGATE_APP_ID is not; set RUNGATE_APP_ID to the client id on the App's settings page
    RUNGATE_APP_ID is neither a client id nor a number; set it to the client id on the App's settings page, such as Iv23liAbCdEfGhIjKlMn
    RUNGATE_APP_ID is neither a client id nor a number; set it to the client id on the App's settings page, such as Iv23liAbCdEfGhIjKlMn
    RUNGATE_INSTALLATION_ID is no number; set it to the number at the end of the installation's address, or unset it so that it is looked up
    RUNGATE_APP_PRIVATE_KEY_REF is set, and this version of rungate cannot follow references to secrets; set RUNGATE_APP_PRIVATE_KEY_FILE or RUNGATE_APP_PRIVATE_KEY instead, and unset it
    failed to read the private key in /nowhere/app.pem, which RUNGATE_APP_PRIVATE_KEY_FILE names; check the path, and that the user of the runner can read the file
    failed to read the private key in /, which RUNGATE_APP_PRIVATE_KEY_FILE names; check the path, and that the user of the runner can read the file
    "#);
}

#[test]
fn a_token_is_hidden_as_soon_as_it_is_read() {
    let registry = Registry::new();
    let environ = Environ::of([("RUNGATE_TOKEN", "correct-horse-battery")]);
    let _credentials = Credentials::of_environ(&environ, &registry).unwrap();
    assert_eq!(registry.text("correct-horse-battery"), "***");
}
