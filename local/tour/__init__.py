"""The tour: Mailroom's main job told as a story, over public HTTP only."""
