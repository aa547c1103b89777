//! The command line: context, output, completion.
