from alexnet_lib.cli import main

main()
