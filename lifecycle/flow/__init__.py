"""Use cases over ports: cycle, scan, execute, verify, certify, offboard, subject, replay."""
