//! What the graph in Neo4j is told.
//!
//! A thing is a node `KfThing`; of a document that is there, `document` has the public id. Where a document speaks of a thing is
//! a relationship `KF_MENTION` from the one to the other, what it says of two things one `KF_SAYS` between these; both carry
//! the document. A node `KfPlace` says that a collection is here. Everything is merged by its key, so that being told twice
//! changes nothing.

use super::{Spot, Transaction, count, number, text};
use crate::base::error::{Context, Result};
use crate::seams::graph::{Held, Mentioned, Named, Projection, Related, Shown, Spoken};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Rows in one statement.
const ROWS: usize = 500;
/// Nodes that one statement takes out.
const CLEARED: i64 = 2_000;

/// Indexes: without them each merge would read every node.
const INDEXES: [&str; 4] = [
    "CREATE RANGE INDEX kf_thing_node IF NOT EXISTS FOR (n:KfThing) ON (n.node)",
    "CREATE RANGE INDEX kf_thing_place IF NOT EXISTS FOR (n:KfThing) ON (n.place)",
    "CREATE RANGE INDEX kf_mention_document IF NOT EXISTS FOR ()-[r:KF_MENTION]-() ON (r.document)",
    "CREATE RANGE INDEX kf_says_document IF NOT EXISTS FOR ()-[r:KF_SAYS]-() ON (r.document)",
];

/// Takes out the mentions of a document and gives the things at both ends.
const UNMENTION: &str = "MATCH (a:KfThing {tenant: $tenant, place: $place})-[r:KF_MENTION {tenant: $tenant, place: $place, \
    document: $document}]->(b:KfThing {tenant: $tenant, place: $place}) DELETE r RETURN DISTINCT a.node, b.node";
/// The same of what it says.
const UNSAY: &str = "MATCH (a:KfThing {tenant: $tenant, place: $place})-[r:KF_SAYS {tenant: $tenant, place: $place, \
    document: $document}]->(b:KfThing {tenant: $tenant, place: $place}) DELETE r RETURN DISTINCT a.node, b.node";
const UNSHOW: &str = "MATCH (n:KfThing {tenant: $tenant, place: $place}) WHERE n.document = $document SET n.document = null \
    RETURN DISTINCT n.node AS a, n.node AS b";
/// Takes out things that nothing speaks of any more.
const SWEEP: &str = "UNWIND $rows AS row MATCH (n:KfThing {tenant: $tenant, place: $place, node: row}) \
    WHERE n.document IS NULL AND NOT (n)--() DELETE n";

const THINGS: &str = "UNWIND $rows AS row MERGE (n:KfThing {node: row.node}) ON CREATE SET n.tenant = $tenant, \
    n.place = $place, n.kind = row.kind, n.key = row.key, n.name = row.name \
    SET n.document = coalesce(row.document, n.document)";
const SHOW: &str = "MATCH (n:KfThing {tenant: $tenant, place: $place, node: $own}) SET n.document = $document";
const MENTIONS: &str = "UNWIND $rows AS row MATCH (d:KfThing {tenant: $tenant, place: $place, node: $own}), \
    (n:KfThing {tenant: $tenant, place: $place, node: row.node}) \
    MERGE (d)-[r:KF_MENTION {tenant: $tenant, place: $place, document: $document, start: row.start}]->(n) \
    SET r.stop = row.stop, r.chunk = row.chunk, r.method = row.method, r.confidence = row.confidence";
const RELATIONS: &str = "UNWIND $rows AS row MATCH (a:KfThing {tenant: $tenant, place: $place, node: row.subject}), \
    (b:KfThing {tenant: $tenant, place: $place, node: row.object}) \
    MERGE (a)-[r:KF_SAYS {tenant: $tenant, place: $place, document: $document, relation: row.relation, start: row.start}]->(b) \
    SET r.source = $source, r.stop = row.stop, r.method = row.method, r.confidence = row.confidence";

fn named(row: &[Value], first: usize) -> Result<Named> {
    Ok(Named { kind: text(row, first)?, key: text(row, first + 1)?, name: text(row, first + 2)? })
}

impl Spot<'_> {
    /// Takes out what a document says, as the beginning of a transaction.
    fn unsay(&self, document: &str) -> Result<Transaction<'_>> {
        let parameters = self.with(json!({"document": document}));
        let (mut transaction, mut rows) = self.neo4j.begin(UNMENTION, &parameters)?;
        rows.extend(transaction.run(UNSAY, &parameters)?);
        rows.extend(transaction.run(UNSHOW, &parameters)?);
        let mut left = BTreeSet::new();
        for row in &rows {
            left.extend([text(row, 0)?, text(row, 1)?]);
        }
        for some in left.into_iter().collect::<Vec<_>>().chunks(ROWS) {
            transaction.run(SWEEP, &self.with(json!({"rows": some})))?;
        }
        Ok(transaction)
    }

    /// The nodes of all that a document speaks of, itself with them.
    fn nodes(&self, shown: &Shown, spoken: &Spoken) -> Vec<Value> {
        let own = Named { kind: "document".into(), key: shown.source.clone(), name: shown.source.clone() };
        let things: BTreeSet<&Named> = spoken.things().chain([&own]).collect();
        let node = |t: &&Named| {
            let document = if **t == own { Some(&shown.uid) } else { shown.linked.get(&t.key).filter(|_| t.kind == "document") };
            json!({"node": self.node(&t.kind, &t.key), "kind": t.kind, "key": t.key, "name": t.name, "document": document})
        };
        things.iter().map(node).collect()
    }

    fn fill(&self, transaction: &mut Transaction<'_>, shown: &Shown, spoken: &Spoken) -> Result<()> {
        let mention = |m: &Mentioned| {
            json!({"node": self.node(&m.thing.kind, &m.thing.key), "start": m.start, "stop": m.stop, "chunk": m.chunk,
                "method": m.method, "confidence": m.confidence})
        };
        let relation = |r: &Related| {
            json!({"subject": self.node(&r.subject.kind, &r.subject.key), "object": self.node(&r.object.kind, &r.object.key),
                "relation": r.relation, "start": r.start, "stop": r.stop, "method": r.method, "confidence": r.confidence})
        };
        let mentions: Vec<Value> = spoken.mentions.iter().map(mention).collect();
        let relations: Vec<Value> = spoken.relations.iter().map(relation).collect();
        let own = self.node("document", &shown.source);
        for (statement, rows) in [(THINGS, self.nodes(shown, spoken)), (MENTIONS, mentions), (RELATIONS, relations)] {
            for some in rows.chunks(ROWS) {
                let parameters = json!({"rows": some, "own": own, "document": shown.uid, "source": shown.source});
                transaction.run(statement, &self.with(parameters))?;
            }
        }
        Ok(())
    }

    fn counted(&self, statement: &str) -> Result<i64> {
        count(&self.ask(statement, json!({}))?)
    }
}

impl Projection for Spot<'_> {
    fn is_there(&self) -> Result<bool> {
        let statement = "MATCH (p:KfPlace {tenant: $tenant, place: $place}) RETURN count(p)";
        Ok(self.counted(statement)? > 0)
    }

    fn put(&self, shown: &Shown) -> Result<()> {
        let told = || format!("cannot show {} in Neo4j", shown.source);
        let mut transaction = self.unsay(&shown.uid).context(told)?;
        if let Some(spoken) = &shown.spoken {
            self.fill(&mut transaction, shown, spoken).context(told)?;
        }
        let own = self.node("document", &shown.source);
        transaction.run(SHOW, &self.with(json!({"own": own, "document": shown.uid}))).context(told)?;
        transaction.commit().context(told)
    }

    fn take(&self, document: &str) -> Result<()> {
        self.unsay(document).and_then(Transaction::commit).context(|| format!("cannot take {document} out of Neo4j"))
    }

    fn clear(&self) -> Result<()> {
        let failed = || "cannot clear the graph in Neo4j".to_owned();
        // The place alone tells whose it is: of a tenant that was erased, the name is known no more.
        let place = json!({"place": self.place});
        for index in INDEXES {
            self.neo4j.tell(index, &json!({})).context(failed)?;
        }
        self.neo4j.tell("MATCH (p:KfPlace {place: $place}) DELETE p", &place).context(failed)?;
        let some = format!("MATCH (n:KfThing {{place: $place}}) WITH n LIMIT {CLEARED} DETACH DELETE n RETURN count(*)");
        while count(&self.neo4j.tell(&some, &place).context(failed)?)? > 0 {}
        Ok(())
    }

    fn finish(&self) -> Result<()> {
        let statement = "MERGE (p:KfPlace {place: $place}) SET p.tenant = $tenant";
        self.neo4j.tell(statement, &self.with(json!({}))).map(drop).context(|| "cannot finish the graph in Neo4j")
    }

    fn spoken(&self, document: &str) -> Result<Spoken> {
        let statement = "MATCH (:KfThing {tenant: $tenant, place: $place})-[m:KF_MENTION {tenant: $tenant, place: $place, \
            document: $document}]->(n:KfThing {tenant: $tenant, place: $place}) \
            RETURN n.kind, n.key, n.name, m.start, m.stop, m.chunk, m.method, m.confidence";
        let parameters = || json!({"document": document});
        let mut spoken = Spoken::default();
        for row in self.ask(statement, parameters())? {
            let (start, stop, chunk) = (number(&row, 3)?, number(&row, 4)?, number(&row, 5)?);
            let (method, confidence) = (text(&row, 6)?, number(&row, 7)?);
            spoken.mentions.push(Mentioned { start, stop, thing: named(&row, 0)?, chunk, method, confidence });
        }
        let statement = "MATCH (a:KfThing {tenant: $tenant, place: $place})-[r:KF_SAYS {tenant: $tenant, place: $place, \
            document: $document}]->(b:KfThing {tenant: $tenant, place: $place}) \
            RETURN a.kind, a.key, a.name, r.relation, b.kind, b.key, b.name, r.start, r.stop, r.method, r.confidence";
        for row in self.ask(statement, parameters())? {
            let (relation, start, stop) = (text(&row, 3)?, number(&row, 7)?, number(&row, 8)?);
            let (subject, object) = (named(&row, 0)?, named(&row, 4)?);
            spoken.relations.push(Related {
                relation,
                start,
                stop,
                subject,
                object,
                method: text(&row, 9)?,
                confidence: number(&row, 10)?,
            });
        }
        Ok(spoken.sorted())
    }

    fn held(&self) -> Result<Held> {
        let statement = "MATCH (n:KfThing {tenant: $tenant, place: $place}) WHERE n.document IS NOT NULL \
            RETURN n.key, n.document";
        let mut documents = BTreeMap::new();
        for row in self.ask(statement, json!({}))? {
            documents.insert(text(&row, 0)?, text(&row, 1)?);
        }
        let along = |kind: &str| {
            format!(
                "MATCH (:KfThing {{tenant: $tenant, place: $place}})-[r:{kind} {{tenant: $tenant, place: $place}}]->() RETURN count(r)"
            )
        };
        let strays =
            "MATCH (n:KfThing {tenant: $tenant, place: $place}) WHERE n.document IS NULL AND NOT (n)--() RETURN count(n)";
        let (mentions, relations) = (self.counted(&along("KF_MENTION"))?, self.counted(&along("KF_SAYS"))?);
        Ok(Held { documents, mentions, relations, strays: self.counted(strays)? })
    }
}
