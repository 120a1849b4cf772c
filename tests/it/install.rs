//! What is installed beside the program: completions and manual pages, compared with what the program says of itself.

use std::process::Stdio;

use crate::context::{Repo, command};

/// The commands that `rungate --help` shows.
fn commands(repo: &Repo) -> Vec<String> {
    let help = repo.run(&["--help"]).stdout;
    let listed = help.split("Commands:\n").nth(1).and_then(|rest| rest.split("\n\n").next()).unwrap();
    let names = listed.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names: Vec<String> =
        names.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect();
    assert!(names.len() > 10 && names.contains(&"run".to_owned()), "{help}");
    names
}

#[test]
fn completions_know_every_command_and_none_that_is_hidden() {
    let repo = Repo::new("");
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let ran = repo.run(&["completions", shell]);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{shell}");
        for name in commands(&repo) {
            assert!(ran.stdout.contains(&name), "{shell}: {name}");
        }
    }
}

#[test]
fn bash_completes_a_command_by_what_is_printed() {
    let repo = Repo::new("");
    let script = repo.run(&["completions", "bash"]).stdout;
    repo.write("completions.bash", &script);
    let ask = "source ./completions.bash; COMP_WORDS=(rungate val); COMP_CWORD=1; _rungate rungate val rungate; echo \"${COMPREPLY[@]}\"";
    let mut bash = command("bash");
    let output = bash
        .args(["--noprofile", "--norc", "-c", ask])
        .current_dir(repo.path())
        .stdin(Stdio::null())
        .output();
    assert_eq!(String::from_utf8(output.unwrap().stdout).unwrap(), "validate\n");
}

#[test]
fn every_command_that_is_shown_has_a_manual_page() {
    let repo = Repo::new("");
    let ran = repo.run(&["man", "share/man1"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), ""), "{}", ran.stderr);
    let page = |name: &str| std::fs::read_to_string(repo.path().join("share/man1").join(name));
    for name in commands(&repo).into_iter().filter(|name| name != "help") {
        let page = page(&format!("rungate-{name}.1")).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(page.contains(".TH ") && page.contains(&format!("rungate\\-{name}")), "{page}");
    }
    assert!(page("rungate-sandbox-exec.1").is_ok());
    assert!(page("rungate-man.1").is_err(), "it is hidden");
    // A regular file stands where the folder is to be.
    repo.write("taken", "");
    assert_eq!(repo.run(&["man", "taken"]).code, Some(4));
}
