"""The paper's claims, measured again (claims, runner, ledger), and the library's speed (bench)."""
