"""check_secrets.py. No secret stands in this file: each is put together while the test runs."""

import random
import string
import unittest

from harness import ScriptTest


def noise(length, alphabet=string.ascii_letters + string.digits):
    """Random-looking text, the same in every run."""
    source = random.Random(7)
    return "".join(source.choice(alphabet) for _ in range(length))


UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
PEM = "-----BEGIN {} KEY-----\n{}\n-----END {} KEY-----\n"
SAMPLES = {
    "aws-access-key": "AKIA" + noise(16, UPPER + "234567"),
    "aws-secret-key": "aws_secret_access_key = " + noise(40),
    "github-token": "ghp_" + noise(36),
    "gitlab-token": "glpat-" + noise(20),
    "slack-token": "xoxb-" + noise(24, string.digits + "-" + string.ascii_lowercase),
    "slack-webhook": "https://hooks.slack.com/services/T" + noise(9, UPPER) + "/B" + noise(9, UPPER) + "/" + noise(24),
    "google-api-key": "AIza" + noise(35),
    "stripe-key": "sk_live_" + noise(24),
    "npm-token": "npm_" + noise(36),
    # rungate:allow-secret the beginning that all tokens of PyPI share
    "pypi-token": "pypi-AgEIcHlwaS5vcmc" + noise(60),
    "azure-storage-key": "AccountKey=" + noise(86) + "==",
    "private-key": PEM.format("RSA PRIVATE", noise(64), "RSA PRIVATE"),
    "url-password": "postgres://admin:" + noise(12) + "@db.internal/main",
    "assigned-secret": 'api_key = "' + noise(24) + '"',
}


class Secrets(ScriptTest):
    script = "check_secrets.py"

    def rules_of(self, content, name="file.txt"):
        self.write(name, content)
        return self.run_script(name).rules

    def test_each_form_is_found_once_and_never_printed(self):
        for rule, sample in SAMPLES.items():
            with self.subTest(rule):
                self.write("file.txt", "first\n  x " + sample + " y\n")
                result = self.run_script()
                self.assertEqual((result.code, result.rules), (1, [rule]))
                self.assertEqual(result.findings[0].properties["line"], "2")
                for start in range(0, len(sample) - 11, 4):
                    if sample[start : start + 12].isalnum() and "private" not in rule:
                        self.assertNotIn(sample[start + 4 : start + 12], result.stdout + result.stderr)

    def test_a_fine_grained_github_token(self):
        self.assertEqual(self.rules_of("github_pat_" + noise(22) + "_" + noise(59)), ["github-token"])

    def test_the_column_counts_characters(self):
        self.write("file.txt", "äöü " + SAMPLES["github-token"])
        self.assertEqual(self.run_script().places, [("file.txt", "1", "5")])

    def test_private_keys_in_other_clothes(self):
        escaped = PEM.format("PRIVATE", noise(64), "PRIVATE").replace("\n", "\\n")
        self.assertEqual(self.rules_of('key: "' + escaped + '"'), ["private-key"])
        encrypted = "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n" + noise(64)
        self.assertEqual(self.rules_of(PEM.format("RSA PRIVATE", encrypted, "RSA PRIVATE")), ["private-key"])
        self.assertEqual(self.rules_of('if line == "-----BEGIN RSA PRIVATE KEY-----":'), [])
        self.assertEqual(self.rules_of(PEM.format("PUBLIC", noise(64), "PUBLIC")), [])

    def test_assignments(self):
        value = noise(24)
        for text in (
            '"client_secret": "{}"',
            "Password='{}'",
            'token := "{}"',
            "auth_key => '{}'",
            'const API_KEY: "{}"',
        ):
            with self.subTest(text):
                self.assertEqual(self.rules_of(text.format(value)), ["assigned-secret"])
        self.assertEqual(self.rules_of("DB_PASSWORD=" + value, ".env"), ["assigned-secret"])
        self.assertEqual(self.rules_of("password: " + value + "\n", "a/b.yml"), ["assigned-secret"])
        self.assertEqual(self.rules_of("password = " + value + "\n", "code.py"), [])

    def test_what_only_looks_like_a_secret(self):
        good = [
            'api_key = "your-api-key-goes-here-1"',
            'password = "${DB_PASSWORD_FROM_VAULT}"',
            "token: ${{ secrets.DEPLOY_TOKEN_2 }}",
            'token = "xxxxxxxxxxxxxxxxxxxxxxxx"',
            'secret_name = "my-team/production/db-password"',
            'token_hash = "' + noise(40, "0123456789abcdef") + '"',
            'password = "correct horse battery"',
            "AKIA" + "IOSFODNN7EXAMPLE",
            "postgres://user:<password>@host/db",
            "postgres://user:${PASS_WORD}@host/db",
            'checksum = "' + noise(64, "0123456789abcdef") + '"',
            "ghp_" + "x" * 36,
        ]
        for text in good:
            with self.subTest(text):
                self.assertEqual(self.rules_of(text, "config.yml"), [])

    def test_an_allowance_needs_a_reason(self):
        token = SAMPLES["github-token"]
        self.assertEqual(self.rules_of(token + "  # rungate:allow-secret a revoked token for the docs\n"), [])
        self.assertEqual(self.rules_of("# rungate:allow-secret: revoked long ago\n" + token), [])
        self.assertEqual(self.rules_of("# rungate:allow-secret revoked\n\n" + token), ["github-token"])
        self.write("file.txt", token + "  # rungate:allow-secret\n")
        self.assertIn("needs a reason", self.run_script().findings[0].message)

    def test_two_secrets_in_one_line(self):
        text = SAMPLES["github-token"] + " " + SAMPLES["npm-token"]
        self.assertEqual(self.rules_of(text), ["github-token", "npm-token"])

    def test_a_secret_on_the_border_of_blocks_is_found_once(self):
        token = SAMPLES["github-token"]
        for start in (2**20 - 50, 2**20 - 40, 2**20 - 20, 2**20 - 1, 2**20, 2**20 - 2**13 - 5, 2**20 - 2**12 - 3):
            with self.subTest(start):
                lines = ("." * 99 + "\n") * (start // 100) + "." * (start % 100)
                self.write("file.txt", lines + token + "\n" + "." * 2**20)
                expected = ("file.txt", str(start // 100 + 1), str(start % 100 + 1))
                self.assertEqual(self.run_script().places, [expected])

    def test_binary_files_and_other_encodings(self):
        token = SAMPLES["github-token"]
        self.assertEqual(self.rules_of(b"\0\1\2" + token.encode()), [])
        self.assertEqual(self.rules_of(token.encode("utf-16")), ["github-token"])
        self.assertEqual(self.rules_of(b"\xff\xfa\n" + token.encode()), ["github-token"])

    def test_lines_without_end_take_linear_time(self):
        for piece in (
            b"a",
            b"token",
            b"secret=",
            b'token="',
            b"a" + b"://",
            b"-----BEGIN PRIVATE KEY-----",
            b"AKIA",
            b"- ",
        ):
            with self.subTest(piece):
                self.write("file.txt", piece * (2**20 // len(piece)))
                self.assertEqual(self.run_script().code, 0)


if __name__ == "__main__":
    unittest.main()
