"""The units under a real systemd, the image and the bill of materials: `python -m tests.system` boots a machine."""
