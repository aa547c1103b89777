complete --keep-order --exclusive --command kf --arguments "(KF_COMPLETE=fish kf -- (commandline --current-process --tokenize --cut-at-cursor) (commandline --current-token))"
