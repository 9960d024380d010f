//! The order of SRV records (RFC 2782, "Usage rules"): by priority, and by chance among equals, each
//! with the share its weight gives it.

use tandem_shared::mint::Mint;

/// Orders `items` by their (priority, weight).
pub(crate) fn by_weight<T>(
    items: Vec<T>,
    rank: impl Fn(&T) -> (u16, u16),
    mint: &mut Mint,
) -> Vec<T> {
    let mut left = items;
    left.sort_by_key(|item| rank(item));
    let mut ordered = Vec::with_capacity(left.len());
    while let Some(first) = left.first() {
        let (priority, _) = rank(first);
        let group = left.iter().take_while(|item| rank(item).0 == priority);
        let weights: Vec<u64> = group.map(|item| u64::from(rank(item).1)).collect();
        let sum: u64 = weights.iter().sum();
        // Nought is drawn for those of weight 0 alone: they come first, and where there are none it would
        // be one more share for whoever does ("proportionately", RFC 2782).
        let least = u64::from(weights.first().is_some_and(|weight| *weight > 0));
        let shares = u128::from(sum + 1 - least);
        let mut drawn = least + u64::try_from(mint.number() % shares).unwrap_or_default();
        let mut chosen = 0;
        for (at, weight) in weights.iter().enumerate() {
            chosen = at;
            if drawn <= *weight {
                break;
            }
            drawn -= weight;
        }
        ordered.push(left.remove(chosen));
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn priority_comes_before_weight() {
        let mut mint = Mint::new([1; 16]);
        let rows = vec![(20, 100), (10, 0), (30, 5)];
        let ordered = by_weight(rows, |row| *row, &mut mint);
        assert_eq!(ordered, [(10, 0), (20, 100), (30, 5)]);
    }

    #[test]
    fn each_gets_the_share_of_its_weight() {
        let mut mint = Mint::new([2; 16]);
        let mut firsts = [0_u32; 3];
        for _ in 0..10_000 {
            let ordered = by_weight(vec![0_usize, 1, 2], |at| (1, [0, 10, 30][*at]), &mut mint);
            firsts[ordered[0]] += 1;
        }
        // Weight 0 has a very small chance, the others 1 : 3.
        assert!((100..=500).contains(&firsts[0]), "{firsts:?}");
        assert!((2_000..=3_000).contains(&firsts[1]), "{firsts:?}");
        assert!((6_500..=8_000).contains(&firsts[2]), "{firsts:?}");
    }

    #[test]
    fn small_weights_are_shares_too() {
        let mut mint = Mint::new([3; 16]);
        for (weights, least, most) in [([1, 1], 4_800, 5_200), ([1, 3], 2_350, 2_650)] {
            let mut first = 0;
            for _ in 0..10_000 {
                let ordered = by_weight(vec![0_usize, 1], |at| (1, weights[*at]), &mut mint);
                first += u32::from(ordered[0] == 0);
            }
            assert!((least..=most).contains(&first), "{weights:?}: {first}");
        }
    }
}
