"""Contract suites, fakes and failpoint drivers, shipped for the authors of stores."""
