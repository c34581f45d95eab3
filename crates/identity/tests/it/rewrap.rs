//! The installation gets another key while nodes run: everything opens before, meanwhile and after.

use weir_core::{Id, Secret};
use weir_identity::{Caller, Error, Identity, KeyState, MailTls, Options, Rewrapped, Step};
use weir_store::Records;
use weir_store::audit::Actor;
use weir_store::records::{Once, PlatformTable, Value};

use crate::engines::{
    PASSWORD, by, client, fresh_with, on_both_engines, operator, options, proof, sign_in,
};
use crate::mail_server::Place;
use crate::second_factor::{authenticator, code};

on_both_engines! {
    everything_opens_after_a_rotation_while_a_node_runs,
    a_key_that_nobody_knows_is_refused,
    a_rewrap_goes_on_where_it_ended,
}

const OLD: [u8; 32] = [7; 32];
const NEW: [u8; 32] = [8; 32];

fn keyed(key: [u8; 32], former: &[[u8; 32]]) -> Options {
    Options {
        key: Secret::new(key),
        former_keys: former.iter().map(|key| Secret::new(*key)).collect(),
        ..options()
    }
}

fn node(records: &Records, options: Options) -> Identity {
    Identity::new(records.clone(), options).unwrap()
}

async fn rewrap(identity: &Identity) -> Vec<Rewrapped> {
    let done = identity.rewrap(|_| ()).await.unwrap();
    identity.note_rewrapped(&operator(), &done).await.unwrap();
    done
}

fn of(done: &[Rewrapped], what: &str) -> (u64, u64, u64, u64) {
    let one = done.iter().find(|one| one.what == what).unwrap();
    (one.seen, one.anew, one.unreadable, one.left)
}

/// A request that took effect, with its answer.
async fn answered(identity: &Identity, key: u8) -> Once {
    let once = identity.once([key; 32], &[b"POST", b"a body"]);
    let caller = Caller {
        actor: Actor::Operator,
        once: Some(once.clone()),
        ..Caller::system()
    };
    let new = weir_identity::NewUser {
        email: format!("made-{key}@a.example"),
        name: "Made".to_owned(),
    };
    identity.create_user(&caller, new).await.unwrap();
    identity.keep_answer(&once, b"the answer").await.unwrap();
    once
}

async fn everything_opens_after_a_rotation_while_a_node_runs(engine: &str) {
    let place = Place::new(MailTls::None, None);
    let mail = |options: Options| Options {
        mail: Some(place.options()),
        ..options
    };
    let fresh = fresh_with(engine, mail(keyed(OLD, &[]))).await;
    let zoe = fresh.person("zoe@a.example").await;
    // Letters of what was done so far are not what is looked at.
    clear(&fresh.records, "mail_outbox").await;
    let (own, proof) = (by(&zoe), proof());
    let enrolment = fresh.identity.enrol_totp(&own, &zoe.id, &proof);
    let totp = authenticator(&enrolment.await.unwrap());
    let shown = code(&totp, -1);
    let confirmed = fresh.identity.confirm_totp(&own, &zoe.id, &shown);
    confirmed.await.unwrap();
    let asked = fresh
        .identity
        .request_reset(&client(), "zoe@a.example")
        .await;
    asked.unwrap();
    let once = answered(&fresh.identity, 2).await;

    // First every node is told of the other key, then each begins with it; one is behind.
    let behind = node(&fresh.records, mail(keyed(OLD, &[NEW])));
    behind.prepare().await.unwrap();
    assert_eq!(behind.key_state().await.unwrap(), KeyState::Settled);
    let ahead = node(&fresh.records, mail(keyed(NEW, &[OLD])));
    assert_eq!(ahead.key_state().await.unwrap(), KeyState::New);
    ahead.prepare().await.unwrap();
    assert_eq!(ahead.key_state().await.unwrap(), KeyState::RewrapDue);
    behind.prepare().await.unwrap();
    assert_eq!(behind.key_state().await.unwrap(), KeyState::Superseded);

    // What either keeps opens with the other.
    let new_once = answered(&ahead, 3).await;
    let same = ahead.once([2; 32], &[b"POST", b"a body"]);
    let remembered = ahead.remembered(&same).await.unwrap().unwrap();
    assert!(remembered.is_same, "the same request under another key");
    assert_eq!(remembered.answer.as_deref(), Some(&b"the answer"[..]));
    let remembered = behind.remembered(&new_once).await.unwrap().unwrap();
    assert_eq!(remembered.answer.as_deref(), Some(&b"the answer"[..]));
    let changed = ahead.once([2; 32], &[b"POST", b"another body"]);
    let remembered = ahead.remembered(&changed).await.unwrap().unwrap();
    assert!(!remembered.is_same);

    let done = rewrap(&ahead).await;
    assert_eq!(of(&done, "totp"), (1, 1, 0, 0));
    assert_eq!(of(&done, "mail_outbox"), (1, 1, 0, 0));
    assert_eq!(of(&done, "idempotency_keys"), (2, 1, 0, 0));
    assert_eq!(ahead.key_state().await.unwrap(), KeyState::Settled);
    let actions = fresh.actions(&weir_core::TenantId::platform()).await;
    assert!(actions.contains(&"installation.rekey".to_owned()));
    assert!(actions.contains(&"installation.rewrap".to_owned()));

    // Without the former key everything still opens.
    let alone = node(&fresh.records, mail(keyed(NEW, &[])));
    alone.prepare().await.unwrap();
    let remembered = alone.remembered(&once).await.unwrap().unwrap();
    assert_eq!(remembered.answer.as_deref(), Some(&b"the answer"[..]));
    let mut server = place.start().await;
    assert_eq!(alone.deliver_mail().await.unwrap().sent, 1);
    assert_eq!(server.letter().await["to"][0], "zoe@a.example");
    let step = sign_in(&alone, "zoe@a.example", PASSWORD).await.unwrap();
    let Step::SecondFactor(token) = step else {
        panic!("no second factor is asked for");
    };
    let shown = code(&totp, 0);
    let signed_in = alone.sign_in_second(&client(), &token, &shown).await;
    assert_eq!(signed_in.unwrap().session.user_id, zoe.id);
    // The node that is behind is told when it begins anew without knowing the present key.
    let lost = node(&fresh.records, keyed(OLD, &[]));
    assert!(matches!(lost.prepare().await, Err(Error::WrongKey)));
}

async fn a_key_that_nobody_knows_is_refused(engine: &str) {
    let fresh = fresh_with(engine, keyed(OLD, &[])).await;
    let stranger = node(&fresh.records, keyed(NEW, &[[9; 32]]));
    assert_eq!(stranger.key_state().await.unwrap(), KeyState::Wrong);
    assert!(matches!(stranger.prepare().await, Err(Error::WrongKey)));
    let still = node(&fresh.records, keyed(OLD, &[]));
    still.prepare().await.unwrap();
}

async fn a_rewrap_goes_on_where_it_ended(engine: &str) {
    let fresh = fresh_with(engine, keyed(OLD, &[])).await;
    let zoe = fresh.user("zoe@a.example").await;
    let letters = PlatformTable::new("mail_outbox");
    let sealer = weir_store::seal::Sealer::new(&Secret::new(OLD)).unwrap();
    let mut write = fresh.records.write_unaudited().await.unwrap();
    for _ in 0..450 {
        let id = Id::new("eml");
        let sealed = sealer.seal(&format!("mail {id}"), b"{}").unwrap();
        let values = [
            ("recipient", Value::from(&zoe.email)),
            ("sealed_message", Value::from(sealed)),
            ("attempts", Value::from(0_i64)),
            ("next_attempt_at", Value::from(write.now())),
        ];
        write.insert(letters.rows(), &id, values).await.unwrap();
    }
    write.commit().await.unwrap();
    let ahead = node(&fresh.records, keyed(NEW, &[OLD]));
    ahead.prepare().await.unwrap();
    // It is ended after its first transaction, as a process is that is killed.
    let (sender, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let progress = move |done: &Rewrapped| {
        let _ = sender.send(done.anew);
    };
    let first = {
        let mut work = std::pin::pin!(ahead.rewrap(progress));
        tokio::select! {
            done = &mut work => panic!("{done:?}"),
            first = heard.recv() => first.unwrap(),
        }
    };
    assert!((1..450).contains(&first), "{first}");
    let done = ahead.rewrap(|_| ()).await.unwrap();
    let (seen, anew, unreadable, left) = of(&done, "mail_outbox");
    assert_eq!((seen, unreadable, left), (450, 0, 0));
    assert!(anew < 450, "begun again from nothing");
    let again = ahead.rewrap(|_| ()).await.unwrap();
    assert_eq!(of(&again, "mail_outbox"), (450, 0, 0, 0));
    // What opens under no key stays, and is told.
    let mut write = fresh.records.write_unaudited().await.unwrap();
    let set = [("sealed_message", Value::from(&[1_u8; 40][..]))];
    let rows = write.all(letters.rows().select().limit(1)).await.unwrap();
    let id = rows[0].id("id").unwrap();
    write.update(letters.rows(), &id, None, set).await.unwrap();
    write.commit().await.unwrap();
    let told = ahead.rewrap(|_| ()).await.unwrap();
    assert_eq!(of(&told, "mail_outbox"), (450, 0, 1, 0));
}

async fn clear(records: &Records, table: &'static str) {
    let mut write = records.write_unaudited().await.unwrap();
    let rows = PlatformTable::new(table).rows();
    write.remove(rows, "version > ?", [0_i64]).await.unwrap();
    write.commit().await.unwrap();
}
