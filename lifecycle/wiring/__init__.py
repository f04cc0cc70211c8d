"""Settings, secrets and keys become concrete ports; the only room that names concretes."""
