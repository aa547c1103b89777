//! `kf card`.

use crate::repo::{ends, ok, on_both, refused, with_bot};
use insta::assert_snapshot;

#[test]
fn a_card_tells_what_is_known() {
    on_both(|s| {
        with_bot(s);
        s.write(
            "mlops.toml",
            "[project]\nname = \"shop\"\n[model.bot]\ntype = \"config\"\npath = \"bot\"\ndescription = \"Answers: \\\"all\\\" questions\"\nlicense = \"apache-2.0\"\nlanguage = [\"en\"]\ntags = [\"rag\"]\n",
        );
        s.write("bot/routing.yaml", "default: large\n");
        ok(s, ["register", "bot", "--metric", "f1=0.83"]);
        assert_snapshot!(s.kf(["card", "bot"]), @r#"
        ---
        language:
        - en
        license: apache-2.0
        pipeline_tag: question-answering
        tags:
        - config
        - kf
        - rag
        metrics:
        - f1
        ---

        # bot 1.0.1

        Answers: "all" questions

        |  |  |
        | --- | --- |
        | Version | bot 1.0.1 |
        | Digest | sha256:1f4f9bfd29b7843ee80fb7111ccb6fd98dd574e30c9e494ab0aaf229e96bd82d |
        | Type | config |
        | Stage | development |
        | Registered | 2026-11-21T08:02:00Z |
        | Author | ada |

        ## Evaluation

        This version has not been evaluated.

        ## Metrics at registration

        | Metric | Value |
        | --- | ---: |
        | f1 | 0.83 |

        ## Files

        | Path | Size | Media type | SHA-256 |
        | --- | ---: | --- | --- |
        | prompts/answer.txt | 34 B | text/plain | f6fe36d23e7794082f06b7cb820b67bd7b4eabbde42eb0308914edbcf53d1dc7 |
        | retrieval.yaml | 22 B | application/yaml | 8114d9c1964e8ae5b4782d74aee1e49aae27554ae385282f75c86c915f6ea01d |
        | routing.yaml | 15 B | application/yaml | 568a318a844cac26cc789d35a08e50fd2255e54d14d7568e07595f73e457a4e9 |

        ## Lineage

        ```text
        version bot@1.0.1 (development)
        ```
        -- exit status: 0 --
        "#);
        assert_snapshot!(s.kf(["card", "bot", "--yaml"]), @r#"
        model_name: bot
        version: 1.0.1
        digest: sha256:1f4f9bfd29b7843ee80fb7111ccb6fd98dd574e30c9e494ab0aaf229e96bd82d
        model_type: config
        stage: development
        created: 2026-11-21T08:02:00Z
        author: ada
        description: 'Answers: "all" questions'
        registered_metrics:
          f1: 0.83
        files:
        - path: prompts/answer.txt
          digest: sha256:f6fe36d23e7794082f06b7cb820b67bd7b4eabbde42eb0308914edbcf53d1dc7
          size: 34
          media: text/plain
        - path: retrieval.yaml
          digest: sha256:8114d9c1964e8ae5b4782d74aee1e49aae27554ae385282f75c86c915f6ea01d
          size: 22
          media: application/yaml
        - path: routing.yaml
          digest: sha256:568a318a844cac26cc789d35a08e50fd2255e54d14d7568e07595f73e457a4e9
          size: 15
          media: application/yaml
        lineage:
          nodes:
          - id: bot@1.0.1
            kind: version
            label: bot@1.0.1 (development)
          edges: []
        language:
        - en
        license: apache-2.0
        pipeline_tag: question-answering
        tags:
        - config
        - kf
        - rag
        metrics:
        - f1
        -- exit status: 0 --
        "#);
    });
}

#[test]
fn a_card_goes_to_a_file_but_not_over_kfs_own() {
    on_both(|s| {
        with_bot(s);
        ok(s, ["card", "bot", "-o", "CARD.md"]);
        assert_eq!(s.read("CARD.md"), ok(s, ["card", "bot"]).stdout);
        refused(s, 2, ["card", "bot", "-o", "mlops.toml"]);
        refused(s, 2, ["card", "bot", "-o", ".kf/state.db"]);
        assert_snapshot!(ends(s, 1, ["card", "bot@1.0.1"]), @"
        -- stderr --
        error: there is no bot@1.0.1
        hint: the newest versions are: 1.0.0
        -- exit status: 1 --
        ");
    });
}
