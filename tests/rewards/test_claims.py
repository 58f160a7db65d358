"""What does not state the answer is not read as it: asides, parts, reasons, denials, questions, markers of steps."""

import pytest

from grpo_job.rewards.answers import correct, correct_anywhere


@pytest.mark.parametrize(
    ("text", "right", "wrong"),
    [
        ("She sold 72 clips (48 in April, 24 in May).", "72", "24"),
        ("It takes 90 minutes [6 rounds x 15 minutes].", "90", "15"),
        ("The walk is 5 km (5000 m).", "5 km", "5000"),
        ("So she sold 72. I made a mistake in step 3.", "72", "3"),
        ("Jars needed: 8. (7 jars would be too few.)", "8", "7"),
        ("The meal cost $40: $25 for the fish and $15 for the wine.", "40", "15"),
        ("The meal cost $40 - $25 for the fish and $15 for the wine.", "40", "15"),
        ("The meal cost $40, with $25 for the fish and $15 for the wine.", "40", "15"),
        ("The meal cost $40, including $15 for the wine.", "40", "15"),
        ("Add the two prices: 25 + 15 = 40", "40", "15"),
        ("He has 30 cards, since he lost 6.", "30", "6"),
        ("He has 30 cards, not 36.", "30", "36"),
        ("She earned $18 for 9 eggs.", "18", "9"),
        ("She walks 12 miles in 3 days.", "12", "3"),
        ("Each of the 3 boys gets 4 plums at lunch.", "4", "3"),
        ("It takes 40 / 8 = 5 hours to read 40 pages.", "5", "40"),
        ("440 + 165 = 605 in terms of 100's.", "605", "100"),
        ("In 3 days at sea he ate 5 plums for lunch.", "5", "3"),
        ("After 3 days he has 5 plums.", "5", "3"),
        ("She had 10 plums and ate 3, so she has 7.", "7", "3"),
        ("She bought 3 books for $4 each, for a total of $12.", "12", "3"),
        ("The total is 45.\n\n[1] Taken from table 3.", "45", "3"),
        ("The total is 45.\n\nNote: a box holds 9.", "45", "9"),
        ("The total is 45. Shall I explain step 2?", "45", "2"),
        ("It is 60. It is not 70, for a box was lost.", "60", "70"),
        ("He has 60, so he does not have the 70 he needs.", "60", "70"),
        ("You may think of 70, but that isn't 70. It is 60.", "60", "70"),
        ("1. Add 20 and 25 to get 45.\n2. Done.", "45", "2"),
        ("Step 1: 5 * 9 = 45\nStep 2: Nothing is left to do.", "45", "2"),
    ],
)
def test_what_the_text_states_is_paid_and_what_it_adds_is_not(text: str, right: str, wrong: str) -> None:
    assert correct_anywhere(text, right) == 1.0
    assert correct_anywhere(text, wrong) == 0.0


@pytest.mark.parametrize(
    "text",
    [
        *("I don't think the answer is 70.", "I'm not sure whether it is 70.", "It is not possible that she has 70."),
        *("The answer can't be 70.", "So it was never 70.", "It would be wrong to say 70.", "Did she have 70?"),
        *("72 (or 70)", "3 (mod 70)", "It is 72. If you want 70, ask again."),
    ],
)
def test_what_is_denied_doubted_or_asked_is_no_answer(text: str) -> None:
    assert correct_anywhere(text, "70") == 0.0


@pytest.mark.parametrize("given", ["72 clips (48 + 24)", "72 clips: 48 in April, 24 in May", "$72 for 2 days"])
def test_in_a_block_too_the_value_is_read_without_what_follows(given: str) -> None:
    assert correct(f"<answer>{given}</answer>", "72") == 1.0
    assert correct(f"<answer>{given}</answer>", "24") == 0.0


@pytest.mark.parametrize("given", ["72 (73)", "72 (or 73)", "72 over 2", "72 for 73", "72 not 73", "72 - 48 and 25"])
def test_a_second_value_without_such_a_sign_is_no_addition(given: str) -> None:
    assert correct(f"<answer>{given}</answer>", "72") == 0.0


@pytest.mark.parametrize("gold", ["109个", "109元", "109 円", "109개"])
def test_a_counter_of_one_letter_is_a_unit(gold: str) -> None:
    assert correct("<answer>109</answer>", gold) == 1.0
    assert correct(f"<answer>{gold}</answer>", "109") == 1.0
    assert correct("<answer>108个</answer>", gold) == 0.0


@pytest.mark.parametrize("gold", ["109万", "109半", "109吗", "109不是", "109ではない"])
def test_a_letter_that_makes_another_number_of_it_is_none(gold: str) -> None:
    assert correct("<answer>109</answer>", gold) == 0.0


@pytest.mark.parametrize("given", ["48 + 24 = 72\n#### 72", "72 churches", '{"answer": "72 boxes"}'])
def test_a_block_states_its_answer_in_other_ways_too(given: str) -> None:
    assert correct(f"<answer>{given}</answer>", "72") == 1.0
    assert correct(f"<answer>{given}</answer>", "48") == 0.0
    assert correct("<answer>72 churches</answer>", "72 church") == 1.0
