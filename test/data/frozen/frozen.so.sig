format = 1
kind = "module"
sha256 = "c7e8f48377d131f27d9e89ce4eb8e13e7605705f1d65e309262eaaae51b10c63"

[[signature]]
key = "frozen-test"
key_id = "7efff294f1c075ca703fbe1c460a99675cca50da6bccf2fe423b09d46ceab8ae"
signature = "QbTrsHwgwRHlt5iwB/qhbXd+ohT3+hc1ZXBpdXuCCRr/1ZLKRYaC9X1x1ckNxKTRhci6mAxvN5cDMwKiB2n3DA=="
