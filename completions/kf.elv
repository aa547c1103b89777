
set edit:completion:arg-completer[kf] = { |@words|
    var index = (count $words)
    set index = (- $index 1)

    put (env _CLAP_IFS="\n" _CLAP_COMPLETE_INDEX=(to-string $index) KF_COMPLETE="elvish" kf -- $@words) | to-lines
}

