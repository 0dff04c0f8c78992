"""Bring the assembly's files to the assets bucket; a key names its content, so it is sent once."""

import io
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from local.assembly import Asset
from local.errors import LocalError

EPOCH = (1980, 1, 1, 0, 0, 0)


def upload(s3: Any, assets: Iterable[Asset]) -> int:
    """Upload what is missing and count it."""
    wanted = {(asset.bucket, asset.key): asset for asset in assets}
    present = {
        (bucket, key) for bucket in {bucket for bucket, _ in wanted} for key in _keys(s3, bucket)
    }
    missing = [asset for place, asset in wanted.items() if place not in present]
    for asset in missing:
        if not asset.source.exists():
            raise LocalError(f"asset {asset.source} is gone: run `make synth`")
        content = zip_folder(asset.source) if asset.zipped else asset.source.read_bytes()
        s3.put_object(Bucket=asset.bucket, Key=asset.key, Body=content)
    return len(missing)


def zip_folder(folder: Path) -> bytes:
    """Pack a folder so that the same content gives the same bytes, stored (nothing travels far)."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), EPOCH)
            entry.external_attr = (0o755 if path.stat().st_mode & 0o100 else 0o644) << 16
            archive.writestr(entry, path.read_bytes())
    return buffer.getvalue()


def _keys(s3: Any, bucket: str) -> list[str]:
    """List a bucket, making it where it is not there yet."""
    try:
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        return [item["Key"] for page in pages for item in page.get("Contents", [])]
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchBucket":
            raise
        s3.create_bucket(Bucket=bucket)
        return []
