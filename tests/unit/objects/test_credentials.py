from __future__ import annotations

from pathlib import Path

from gyrus.objects.credentials import AwsAccess, read_aws_access


def test_variables_come_first(tmp_path: Path) -> None:
    write(tmp_path)
    environ = {
        "HOME": str(tmp_path),
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_SESSION_TOKEN": "c",
        "AWS_DEFAULT_REGION": "eu-north-1",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9000/",
    }
    assert read_aws_access(environ) == AwsAccess(
        region="eu-north-1", endpoint="http://127.0.0.1:9000", key="a", secret="b", token="c"
    )
    more = {"AWS_REGION": "eu-west-3", "AWS_ENDPOINT_URL_S3": "http://s3"}
    found = read_aws_access(environ | more)
    assert (found.region, found.endpoint) == ("eu-west-3", "http://s3")


def test_a_profile_is_read_from_the_files(tmp_path: Path) -> None:
    write(tmp_path)
    home = {"HOME": str(tmp_path)}
    assert read_aws_access(home) == AwsAccess(region="us-west-2", key="k", secret="s")
    assert read_aws_access(home | {"AWS_PROFILE": "work"}) == AwsAccess(
        region="eu-central-1", key="wk", secret="ws", token="wt"
    )


def test_a_token_of_a_profile_does_not_go_with_given_keys(tmp_path: Path) -> None:
    write(tmp_path)
    environ = {"HOME": str(tmp_path), "AWS_PROFILE": "work", "AWS_ACCESS_KEY_ID": "a"}
    assert read_aws_access(environ).token == ""


def test_without_anything_the_services_of_machines_are_asked(tmp_path: Path) -> None:
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws/config").write_text("not = a file of AWS")
    found = read_aws_access({"HOME": str(tmp_path)})
    assert found == AwsAccess()
    assert "access_key_id" not in found.settings()


def test_secrets_are_not_shown() -> None:
    assert "secret-1" not in repr(AwsAccess(key="k", secret="secret-1", token="secret-1"))


def write(home: Path) -> None:
    (home / ".aws").mkdir()
    (home / ".aws/config").write_text(
        "[default]\nregion = us-west-2\n[profile work]\nregion = eu-central-1\n"
    )
    (home / ".aws/credentials").write_text(
        "[default]\naws_access_key_id = k\naws_secret_access_key = s\n"
        "[work]\naws_access_key_id = wk\naws_secret_access_key = ws\naws_session_token = wt\n"
    )
