"""`python -m benchmarks`, from the root of the repository."""

if __name__ == "__main__":
    # Here and not above: each contestant's process imports this module, and must not carry what
    # the command needs into the memory that it reports.
    from benchmarks.run import main

    main()
