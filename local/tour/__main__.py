"""`python -m local.tour`: tell the story against the running system; exit 1 where it differs."""

import argparse
import sys

from local.tour.narrator import MismatchError, complain
from local.tour.places import PlacesUnknownError, read_places
from local.tour.story import Story


def main() -> int:
    """Tell the story and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.parse_args()
    try:
        Story(read_places()).tell()
    except (MismatchError, PlacesUnknownError) as error:
        complain(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
