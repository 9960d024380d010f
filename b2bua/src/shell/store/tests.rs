use super::*;

#[tokio::test]
async fn what_was_written_is_there_after_a_restart() {
    let directory = std::env::temp_dir().join(format!("tandem-store-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let path = directory.join("b2bua.sqlite");
    let (mut store, first) = Store::open(&path, Durability::Process, None).unwrap();
    assert!(first.rows.is_empty());
    let answered = |request, at| Record::Answered {
        request: Fingerprint(request),
        status: Status::ACCEPTED,
        at,
    };
    let spelling = Record::Spelling {
        folded: "bob@x".into(),
        user: "Bob".into(),
    };
    let approval = |verdict| {
        Record::Approval(Box::new(Approval {
            id: 7,
            user: Address::new("juliet", "example.com").unwrap(),
            verdict,
            wanted: "+4930123".into(),
            said: Some(MessageId("m".into())),
        }))
    };
    let other = Record::Approval(Box::new(Approval {
        id: 8,
        user: Address::new("romeo", "example.com").unwrap(),
        verdict: Verdict::Denied,
        wanted: String::new(),
        said: None,
    }));
    let last = |pair, number: &str| {
        Record::LastNumber(LastNumber {
            pair,
            number: number.into(),
            trunk: "provider".into(),
            day: 20_000,
        })
    };
    store.write(vec![
        Action::Store(approval(Verdict::Asked)),
        Action::Store(approval(Verdict::Approved)),
        Action::Store(other),
        Action::Forget(Key::Approval(8)),
        Action::Store(Record::Alias(3)),
        Action::Store(Record::Alias(u128::MAX)),
        Action::Forget(Key::Alias(3)),
        Action::Store(last(1, "+15550002")),
        Action::Store(last(2, "+15550002")),
        Action::Store(last(1, "+15550003")),
        Action::Forget(Key::LastNumber(2)),
        Action::Store(answered(1, 5)),
        Action::Store(answered(u128::MAX, 6)),
        Action::Store(spelling.clone()),
        Action::Forget(Key::AnsweredBefore(6)),
    ]);
    store.written().await;
    drop(store);
    let (_store, second) = Store::open(&path, Durability::Power, None).unwrap();
    assert_eq!(second.key, first.key);
    let approval = approval(Verdict::Approved);
    assert_eq!(
        second.rows,
        [
            answered(u128::MAX, 6),
            spelling,
            approval,
            Record::Alias(u128::MAX),
            last(1, "+15550003")
        ]
    );
    std::fs::remove_dir_all(&directory).unwrap();
}

#[tokio::test]
async fn accounts_are_sealed_and_come_back_with_their_key_alone() {
    let directory = std::env::temp_dir().join(format!("tandem-seal-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let path = directory.join("b2bua.sqlite");
    let sealer = || Some(Sealer::new("a key of the configuration, long enough"));
    let juliet = || Address::new("juliet", "example.com").unwrap();
    let kept = |name: &str, password: &str| Record::Account {
        user: juliet(),
        account: Box::new(Account::new(
            format!("sip:{name}@provider.example"),
            password,
        )),
    };
    let (mut store, _) = Store::open(&path, Durability::Process, sealer()).unwrap();
    store.write(vec![
        Action::Store(kept("alice", "first-word")),
        Action::Store(kept("bob", "b0bs-word")),
        Action::Store(kept("alice", "s3cret-word")),
        Action::Forget(Key::Account(juliet(), "sip:bob@provider.example".into())),
    ]);
    store.written().await;
    drop(store);
    for file in std::fs::read_dir(&directory).unwrap() {
        // The log goes when its last user does.
        let Ok(bytes) = std::fs::read(file.unwrap().path()) else {
            continue;
        };
        for text in ["s3cret-word", "first-word", "alice", "juliet"] {
            let found = bytes.windows(text.len()).any(|it| it == text.as_bytes());
            assert!(!found, "{text} can be read");
        }
    }
    let other = Some(Sealer::new("another key of the configuration"));
    let (_store, wrong) = Store::open(&path, Durability::Process, other).unwrap();
    assert_eq!((wrong.rows.len(), wrong.locked.len()), (0, 1));
    let (_store, none) = Store::open(&path, Durability::Process, None).unwrap();
    assert_eq!((none.rows, &none.locked), (Vec::new(), &wrong.locked));
    let (_store, right) = Store::open(&path, Durability::Process, sealer()).unwrap();
    assert_eq!(right.rows, [kept("alice", "s3cret-word")]);
    assert!(right.locked.is_empty());
    // What nobody can open any more goes when an admin says so.
    let (mut store, _) = Store::open(&path, Durability::Process, None).unwrap();
    let id = row_id(&right.key, &juliet(), "sip:alice@provider.example");
    assert_eq!(none.locked, [id]);
    store.write(vec![Action::Forget(Key::LockedAccount(id))]);
    store.written().await;
    drop(store);
    let (_store, gone) = Store::open(&path, Durability::Process, sealer()).unwrap();
    assert_eq!((gone.rows, gone.locked), (Vec::new(), Vec::new()));
    std::fs::remove_dir_all(&directory).unwrap();
}

/// Whoever is told that something is kept must find it after a restart.
#[tokio::test]
async fn a_batch_that_is_not_written_is_told_of() {
    let directory = std::env::temp_dir().join(format!("tandem-unwritten-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let path = directory.join("b2bua.sqlite");
    let (mut store, _) = Store::open(&path, Durability::Process, None).unwrap();
    store.write(vec![Action::Store(Record::Alias(1))]);
    assert!(store.written().await);
    let other = Connection::open(&path).unwrap();
    other.execute("DROP TABLE alias", []).unwrap();
    store.write(vec![Action::Store(Record::Alias(2))]);
    assert!(!store.written().await);
    std::fs::remove_dir_all(&directory).unwrap();
}
