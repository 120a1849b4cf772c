//! What honest scripts need: it works in the namespaces tier by default, and what does not is told here.

use std::path::Path;

use crate::place::{Place, User};

/// Runs `argv` as both users, and expects exactly `out`.
fn works(options: &[&str], argv: &[&str], out: &str) {
    for user in [User::Ordinary, User::Root] {
        if user.is_possible() {
            let place = Place::new(user);
            let options = [&["--tier", "namespaces", "--timeout", "60s"], options].concat();
            let (code, said, err) = place.run(&options, argv);
            assert_eq!((code, &*said), (Some(0), out), "{user:?}: {argv:?}: {err}");
        }
    }
}

fn python(program: &str, out: &str) {
    works(&[], &["/usr/bin/python3", "-c", program], out);
}

fn bash(script: &str, out: &str) {
    works(&[], &["/bin/bash", "-euc", script], out);
}

/// Whether the host has `program`. Says so aloud when not.
#[expect(clippy::print_stderr, reason = "a skip is said aloud")]
fn is_there(program: &str) -> bool {
    let there = Path::new(program).exists();
    if !there {
        eprintln!("skipped: there is no {program}");
    }
    there
}

#[test]
fn python_has_its_processes_pools_and_locks() {
    python("from multiprocessing import Pool\nprint(Pool(2).map(abs, [-1, -2, 3]))", "[1, 2, 3]\n");
    let shared = "
from multiprocessing import Manager, shared_memory
memory = shared_memory.SharedMemory(create=True, size=16)
memory.unlink()
with Manager() as manager:
    print(list(manager.list([1])))
";
    python(shared, "[1]\n");
    python("import subprocess\nprint(subprocess.check_output(['sh', '-c', 'echo x']))", "b'x\\n'\n");
    python(
        "from concurrent.futures import ThreadPoolExecutor as T\nprint(list(T(4).map(abs, [-1])))",
        "[1]\n",
    );
}

#[test]
fn python_has_its_library() {
    let database = "
import sqlite3, tempfile, os
path = os.path.join(tempfile.mkdtemp(), 'x.db')
one = sqlite3.connect(path)
one.execute('create table t (x)')
one.execute('insert into t values (1)')
one.commit()
print(sqlite3.connect(path).execute('select x from t').fetchall())
";
    python(database, "[(1,)]\n");
    python("import ssl\nssl.create_default_context()\nprint('ok')", "ok\n");
    let zones = "
import datetime, zoneinfo
print(datetime.datetime(2026, 1, 1, tzinfo=zoneinfo.ZoneInfo('Europe/Berlin')).utcoffset())
";
    if is_there("/usr/share/zoneinfo/Europe/Berlin") {
        python(zones, "1:00:00\n");
    }
    python("import getpass, os, pwd\nprint(bool(pwd.getpwuid(os.getuid()).pw_dir))", "True\n");
    python("import asyncio\nprint(asyncio.run(asyncio.sleep(0, 7)))", "7\n");
    python("import socket\nprint(socket.gethostbyname('localhost'))", "127.0.0.1\n");
}

#[test]
fn shells_have_their_files_and_pipes() {
    bash("cat <<END\nheredoc\nEND\n", "heredoc\n");
    bash("cat < <(echo substituted)", "substituted\n");
    bash("mkfifo \"$TMPDIR/p\"; echo x > \"$TMPDIR/p\" & cat \"$TMPDIR/p\"", "x\n");
    bash("cd \"$(mktemp -d)\"; echo a > a; cp -a a b; tar cf x.tar a b; tar tf x.tar", "a\nb\n");
    bash("ls -la > /dev/null; id -u > /dev/null; whoami > /dev/null; date > /dev/null; echo ok", "ok\n");
    bash("sort -u <<< $'b\\na'; seq 3 | xargs -P 2 -n 1 true; echo {1..3}", "a\nb\n1 2 3\n");
}

#[test]
fn node_has_its_threads_and_servers() {
    if !is_there("/usr/bin/node") {
        return;
    }
    works(&[], &["/usr/bin/node", "-e", "console.log(JSON.stringify({a: 1}))"], "{\"a\":1}\n");
    let server = "
const http = require('http'), { execFileSync } = require('child_process');
const { Worker } = require('worker_threads');
new Worker('1', { eval: true }).on('exit', () => {
  const server = http.createServer((_, answer) => answer.end('hi')).listen(0, '127.0.0.1', () => {
    http.get({ port: server.address().port, host: '127.0.0.1' }, answer => {
      answer.on('data', data => { console.log(String(data), String(execFileSync('echo', ['x'])).trim()); process.exit(0) });
    });
  });
});
";
    works(&[], &["/usr/bin/node", "-e", server], "hi x\n");
}

#[test]
fn a_compiler_builds_into_private_space_and_what_it_built_runs() {
    if is_there("/usr/bin/gcc") {
        let script = "cd \"$TMPDIR\"; echo '#include <stdio.h>\nint main(void) { puts(\"built\"); }' > a.c; gcc -o a a.c; ./a";
        bash(script, "built\n");
    }
}

#[test]
fn git_works_on_repositories_of_its_own_and_does_not_see_the_workspaces() {
    let own = "cd \"$(mktemp -d)\"; git init -q .; git -c user.name=x -c user.email=x@x commit -q --allow-empty -m x; git log --format=%s";
    bash(own, "x\n");
    // What a checkout left there, tokens included, is hidden: a script that needs history is given it by an earlier step.
    bash("git status > /dev/null 2>&1 || echo refused", "refused\n");
}

#[test]
fn a_folder_of_the_superuser_is_written_as_if_by_it() {
    if !User::Root.is_possible() {
        return;
    }
    let place = Place::new(User::Root);
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(place.at("work/out"), private).unwrap();
    let (code, _, err) =
        place.run(&["--tier", "namespaces", "--write", "out"], &["/bin/sh", "-c", "echo x > out/made"]);
    assert_eq!(code, Some(0), "{err}");
    let made = std::fs::metadata(place.at("work/out/made")).unwrap();
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&made), 0);
}
