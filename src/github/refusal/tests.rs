use super::*;

fn said(status: u16, message: &str) -> Answer {
    Answer::of(status, &[], &serde_json::json!({ "message": message }).to_string())
}

/// Every row of the table of refusals, as recorded, and what a person gets to read.
#[test]
#[expect(clippy::too_many_lines, reason = "a table, and what it gives")]
fn each_refusal_says_what_is_wrong_and_who_has_to_do_what() {
    let permission = Answer::of(
        403,
        &[("x-accepted-github-permissions", "checks=write; contents=read,checks=read")],
        r#"{"message":"Resource not accessible by integration"}"#,
    );
    let parent = "There is at least one repository that does not exist or is not accessible to the parent installation.";
    let invalid = Answer::of(
        422,
        &[],
        r#"{"message":"Invalid request.\n\nNo more than 50 items are allowed; 143 were supplied.","errors":["x"]}"#,
    );
    let rows = [
        (Purpose::App, said(401, "'Expiration time' claim ('exp') is too far in the future")),
        (
            Purpose::App,
            said(
                401,
                "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires",
            ),
        ),
        (
            Purpose::App,
            said(
                401,
                "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued",
            ),
        ),
        (Purpose::App, said(401, "'Issuer' claim ('iss') must be an Integer")),
        (Purpose::App, said(401, "A JSON web token could not be decoded")),
        (Purpose::App, said(401, "Integration must generate a public key")),
        (Purpose::Call, said(401, "Bad credentials")),
        (Purpose::Call, permission),
        (Purpose::Call, said(403, "Resource not accessible by integration")),
        (Purpose::Call, said(403, "You must authenticate via a GitHub App.")),
        (
            Purpose::Call,
            said(
                403,
                "Invalid app_id `1` - check run can only be modified by the GitHub App that created it.",
            ),
        ),
        (Purpose::Token, said(403, "This installation has been suspended")),
        (
            Purpose::Call,
            said(
                403,
                "Although you appear to have the correct authorization credentials, the `acme` organization has an IP allow list enabled",
            ),
        ),
        (Purpose::Installation, said(404, "Not Found")),
        (Purpose::Token, said(404, "Not Found")),
        (Purpose::Call, said(404, "Not Found")),
        (Purpose::Token, said(422, "The permissions requested are not granted to this installation.")),
        (Purpose::Token, said(422, parent)),
        (Purpose::Call, said(400, "Problems parsing JSON")),
        (Purpose::Call, invalid),
        (Purpose::Call, Answer::of(418, &[], "<html>teapot</html>")),
    ];
    let lines = rows.map(|(purpose, answer)| {
        let refusal = Refusal::of(&answer, purpose);
        format!("{}: {}; {}", refusal.status, refusal, refusal.remedy())
    });
    insta::assert_snapshot!(lines.join("\n"), @r"
    401: the clock of this machine and that of the server differ by more than a minute; the administrator of the runner has to set the clock, by NTP
    401: the clock of this machine and that of the server differ by more than a minute; the administrator of the runner has to set the clock, by NTP
    401: the clock of this machine and that of the server differ by more than a minute; the administrator of the runner has to set the clock, by NTP
    401: the server does not accept the App's id; the administrator of the runner has to check RUNGATE_APP_ID: nothing but the client id or the numeric id, and the numeric one on an older GitHub Enterprise Server
    401: the private key does not belong to the App with this id; the administrator of the runner has to set a private key of exactly the App in RUNGATE_APP_ID, as it was downloaded
    401: the App has no key on this server, or it is registered on another one; the owner of the App has to generate a private key on the App's settings page; check GITHUB_API_URL and RUNGATE_APP_ID too
    401: the token is expired, revoked or from another server; the administrator of the runner has to set a fresh RUNGATE_TOKEN made for this server, or RUNGATE_APP_ID and a private key, with which tokens are renewed
    403: the token lacks a permission: checks:write, or contents:read,checks:read; the owner of the App has to give the App the permission on its settings page, and an administrator has to accept it for the installation; a RUNGATE_TOKEN has to be made with it
    403: the token lacks a permission; the owner of the App has to give the App the permission on its settings page, and an administrator has to accept it for the installation; a RUNGATE_TOKEN has to be made with it
    403: only the token of a GitHub App may write check runs, and this is another kind; the author of the workflow has to use RUNGATE_APP_ID with a private key, or an installation token of an App
    403: the check run was made by another App, and only that one can change it; the authors of rungate have to know: please report it
    403: the installation of the App is suspended; an administrator of the organization or repository has to unsuspend the App in the settings, under Installed GitHub Apps
    403: the organization does not let calls from this address in; an administrator of the organization or repository has to add the runner's address to the organization's IP allow list
    404: the App is not installed on the repository, or there is no such repository; an administrator of the organization or repository has to install the App on the repository (its settings page, Install App); check the repository's name and GITHUB_API_URL too
    404: the App has no installation with this id; the administrator of the runner has to correct RUNGATE_INSTALLATION_ID, or to leave it unset so that it is looked up
    404: the repository, the commit or the check run is not there, or the token cannot see it; the author of the workflow has to check the repository and the commit: a commit that was not pushed is not there
    422: the installation was not granted the permissions that are needed; an administrator of the organization or repository has to accept the App's new permissions in the settings, under Installed GitHub Apps; the owner of the App has to ask for them first
    422: the installation of the App does not cover the repository; an administrator of the organization or repository has to add the repository to the installation, in the settings under Installed GitHub Apps
    400: the server did not understand the call; the authors of rungate have to know: please report it with the text of the server
    422: the server does not accept what was sent; the authors of rungate have to know: please report it with the text of the server
    418: the server refuses the call; the author of the workflow has to look at what the server said
    ");
}

#[test]
fn what_the_server_said_is_bounded_and_on_one_line() {
    let long = Answer::of(500, &[], &"é\n".repeat(100_000));
    let refusal = Refusal::of(&long, Purpose::Call);
    assert!(refusal.said.chars().count() <= MAX_TEXT + 1 && !refusal.said.contains('\n'));
    let long = said(403, &"ab ".repeat(100_000));
    assert_eq!(Refusal::of(&long, Purpose::Call).said.chars().count(), MAX_TEXT + 1);
    assert_eq!(message(br#"{"message":"a","errors":[{"message":"b"},"c",{"code":"d"}]}"#), "a; b; c");
    assert_eq!(message(b"\xff\xfe"), "\u{fffd}\u{fffd}");
}
