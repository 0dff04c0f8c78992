import os
import zipfile
from io import BytesIO
from pathlib import Path

import boto3
import pytest
from moto import mock_aws

from local.assembly import Asset
from local.assets import upload, zip_folder
from local.errors import LocalError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "asset"
    (root / "package").mkdir(parents=True)
    (root / "handler.py").write_text("def handler(event, context): return 1")
    (root / "package" / "__init__.py").write_text("")
    return root


def test_zip_depends_on_content_alone(folder: Path) -> None:
    before = zip_folder(folder)
    os.utime(folder / "handler.py", (1, 1))
    assert zip_folder(folder) == before
    (folder / "handler.py").write_text("changed")
    assert zip_folder(folder) != before


def test_zip_holds_relative_paths(folder: Path) -> None:
    with zipfile.ZipFile(BytesIO(zip_folder(folder))) as archive:
        assert archive.namelist() == ["handler.py", "package/__init__.py"]


@mock_aws
def test_upload_makes_the_bucket_and_sends_once(folder: Path) -> None:
    s3 = boto3.client("s3", region_name="us-east-1")
    assets = [Asset(folder, True, "assets", "a.zip"), Asset(folder, True, "assets", "a.zip")]
    assert upload(s3, assets) == 1
    assert upload(s3, assets) == 0
    assert s3.get_object(Bucket="assets", Key="a.zip")["Body"].read() == zip_folder(folder)


@mock_aws
def test_upload_of_a_lost_asset_says_what_to_run(tmp_path: Path) -> None:
    s3 = boto3.client("s3", region_name="us-east-1")
    with pytest.raises(LocalError, match="run `make synth`"):
        upload(s3, [Asset(tmp_path / "gone", True, "assets", "a.zip")])
