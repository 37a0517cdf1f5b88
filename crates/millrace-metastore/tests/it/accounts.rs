use millrace_metastore::accounts::{GrantRow, TokenRow};

use crate::on_both;

fn grant(kind: &str, object: &str, permission: &str) -> GrantRow {
    GrantRow { kind: kind.to_owned(), object: object.to_owned(), permission: permission.to_owned() }
}

#[tokio::test]
async fn accounts_with_tokens_and_grants() {
    on_both(|store| {
        Box::pin(async move {
            let made = |name: &str| store.create_account(name.to_owned(), "hash".to_owned(), 1);
            let one = made("one").await.unwrap().unwrap();
            assert_eq!(made("one").await.unwrap(), None);
            made("other").await.unwrap().unwrap();
            assert!(store.set_account_admin("one".to_owned(), true).await.unwrap());
            assert!(store.set_account_password("one".to_owned(), "new".to_owned()).await.unwrap());
            assert!(!store.set_account_admin("nobody".to_owned(), true).await.unwrap());
            let found = store.find_account("one".to_owned()).await.unwrap().unwrap();
            assert_eq!((found.id, found.password_hash.as_str(), found.is_admin), (one.id, "new", true));

            let token = TokenRow { id: "t".to_owned(), name: "laptop".to_owned(), created_at: 2 };
            store.create_token(one.id, token.clone(), "digest".to_owned()).await.unwrap();
            assert_eq!(store.list_tokens(one.id).await.unwrap(), [token]);
            assert_eq!(store.find_account_of_token("digest".to_owned()).await.unwrap(), Some(found));
            assert_eq!(store.find_account_of_token("other".to_owned()).await.unwrap(), None);

            for (object, permission) in [("1", "READ"), ("1", "EDIT"), ("*", "DENY")] {
                store.set_grant(one.id, grant("experiment", object, permission)).await.unwrap();
            }
            store.set_grant(one.id, grant("registered_model", "a", "MANAGE")).await.unwrap();
            store
                .move_grants("registered_model".to_owned(), "a".to_owned(), Some("b".to_owned()))
                .await
                .unwrap();
            assert!(store.remove_grant(one.id, "experiment".to_owned(), "*".to_owned()).await.unwrap());
            let held = [grant("experiment", "1", "EDIT"), grant("registered_model", "b", "MANAGE")];
            assert_eq!(store.list_grants(one.id).await.unwrap(), held);
            store.move_grants("registered_model".to_owned(), "b".to_owned(), None).await.unwrap();
            assert_eq!(store.list_grants(one.id).await.unwrap(), held[..1]);

            assert!(store.delete_account("one".to_owned()).await.unwrap());
            assert_eq!(store.list_grants(one.id).await.unwrap(), []);
            assert_eq!(store.find_account_of_token("digest".to_owned()).await.unwrap(), None);
            let names: Vec<String> =
                store.list_accounts().await.unwrap().into_iter().map(|a| a.name).collect();
            assert_eq!(names, ["other"]);
        })
    })
    .await;
}
