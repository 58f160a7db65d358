r"""How models end a text that has no tags: in math signs, as working, in bold, in a fence, with a bound."""

import pytest

from grpo_job.rewards.answers import correct, correct_anywhere


@pytest.mark.parametrize(
    ("text", "right", "wrong"),
    [
        ("So\n\\[\n72\n\\]", "72", "2"),
        ("Hence\n\\[\nx = 72\n\\]\n", "72", "x"),
        ("So 144/2 gives\n\\[\n3/4\n\\]", r"\frac{3}{4}", "4"),
        ("\\[ x = \\frac{4}{2} \\]\n\\[\nx = 2\n\\]\n", "2", "4"),
        ("The distance is $5$ km.", "5 km", "4 km"),
        ("So the angle is $45$.", r"45^\circ", "5"),
        ("There are 3.\n\nAnswer:\n```\n72\n```", "72", "3"),
        ("There are 3.\n\n**Answer:** \\log_2 7", r"\log_2(7)", "7"),
        ("Two of 5.\n\n**Final Answer**\n\nYes", "yes", "5"),
        ("It costs $5 and $10.", "$5 and $10", "5"),
        ("The area is 5^2 = 25.", "25", "5"),
        ("So c = 3^2 + 4^2 = 25", "25", "9"),
        ("Thus $2^{10} = 1024$.", "1024", "10"),
        ("$$\\sqrt{144} = 12$$", "12", "144"),
        (r"\[ 12 \div 3 = \mathbf{4} \]", "4", "3"),
        (r"$A = 25\pi \approx 78.54$", "78.54", "25"),
        (r"\[ \text{Speed} = \frac{\text{Distance}}{\text{Time}} = \frac{120}{2} = 60 \text{ km/h} \]", "60", "120"),
        ("The final score was 3-2.", "3-2", "2"),
        ("It takes 5–7 days.", "5-7", "7"),
        ("So she needs at least 6.", "at least 6", "6"),
        ("So we get negative 5.", "-5", "5"),
        ("The primes are: 2, 3, 5", "5, 3, 2", "5"),
        ("So x = 5, y = 7", "(5, 7)", "7"),
        ("Die Antwort lautet 1.234.567.", "1234567", "567"),
        ("Hence he gets $400 000 - $282 000 = $118 000.", "118000", "000"),
        ("So in 5 days she earns $36 x 5 = $180 after 5 days.", "180", "5"),
        ("It will take her 120/24 = 5 hours to read 120 pages.", "5", "120"),
        ("The answer is 70. Wait, I was wrong. It should be 72.", "72", "70"),
        ("The answer is 70? No, it is 72.", "72", "70"),
        ("The year was 1999.", "1999", "99"),
        ("They add up to 72.", "72", "2"),
        ("Two of 3. The answer is Marie Curie.", "Marie Curie", "3"),
        ("Two of 3.\nAnswer: May 6", "May 6", "6"),
        ("First 2 + 2.\n$$\n\\{1, 2, 3\\}\n$$", "{3, 2, 1}", "3"),
        ("Answer: (-\\infty, 2) \\cup (3, \\infty)", "x < 2 or x > 3", r"\infty"),
        ("答案是\u22125。", "-5", "5"),
        ("答案是€12。", "€12", "$12"),
        ("Thus\n\\[\nx = 9 \\cdot 2\n= 18\n\\]", "18", "9"),
        ("Marie Curie", "Marie Curie", "Marie"),
        ("May 6", "May 6", "6 May 2021"),
        ("It was on 25/12/2024.", "December 25, 2024", "2024"),
        ("So she has *72*.", "72", "2"),
        ("If x = 3 there are 5 left", "5", "3"),
    ],
)
def test_the_last_value_is_read_whole(text: str, right: str, wrong: str) -> None:
    assert correct_anywhere(text, right) == 1.0
    assert correct_anywhere(text, wrong) == 0.0


@pytest.mark.parametrize(
    ("text", "gold"),
    [("$x^2 = 16$", "16"), ("$72 = 73$", "73"), ("$y = 2^{10} = 1024$", "x = 1024"), ("$|x| = 3$", "3")],
)
def test_an_equation_that_is_no_working_is_not_its_right_side(text: str, gold: str) -> None:
    assert correct_anywhere(text, gold) == 0.0


@pytest.mark.parametrize(
    "text",
    [
        *("at most 72", "It is more than 72.", "It cannot be 72.", "The answer isn't 72.", "Is the answer 72?"),
        *("half of 72", "It is 20% of 72.", "12.5 percent of the 72", "two sixths of 72", "0.2 of 72", "3/4 of the 72"),
        *("the square root of 72", "72 squared", "2 to the power of 72", "Step 72", "72 is incorrect"),
        *("So the total is 72 +", "so 60 + 72 =", "Call 555-72", "version 1.2.72"),
    ],
)
def test_a_number_with_what_makes_another_of_it_is_not_read_alone(text: str) -> None:
    assert correct_anywhere(text, "72") == 0.0


@pytest.mark.parametrize(
    ("text", "right", "wrong"),
    [
        ("The distance is 5 km.", "5 kilometers", "5 m"),
        ("So it drives at 20 miles per hour.", "20 mph", "20 km/h"),
        ("He paid 5 dollars in cash", "$5", "5 cents"),
        ("It flew at 60 km/h.", "60 km/h", "61 km/h"),
        ("It is 5.", "5 m", "50 m"),
        ("It fell 5 in total", "5 feet", "50 feet"),
    ],
)
def test_a_number_is_not_right_in_another_unit_than_that_of_the_gold(text: str, right: str, wrong: str) -> None:
    assert (correct_anywhere(text, right), correct_anywhere(text, wrong)) == (1.0, 0.0)


@pytest.mark.parametrize(
    ("text", "right", "wrong"),
    [
        ("Sentiment: positive", "Positive", "negative"),
        ("**Label:** spam.", "spam", "ham"),
        ("Predicted class: book_flight", "book_flight", "flight"),
        ("Name: Ada Lovelace", "Ada Lovelace", "Ada"),
        ("Time: 14:30", "2:30 pm", "30"),
        ("Spam: no", "no", "yes"),
    ],
)
def test_a_label_before_the_answer_does_not_count(text: str, right: str, wrong: str) -> None:
    for written in (text, f"<answer>{text}</answer>", f"It has many good words.\n{text}"):
        assert correct_anywhere(written, right) == 1.0
        assert correct_anywhere(written, wrong) == 0.0
    assert correct(f"<answer>{text}</answer>", right) == 1.0


@pytest.mark.parametrize(
    "text",
    [
        "Sentiment: positive or negative", "Sentiment: not positive", "Not the sentiment: positive",
        "Opposite: positive", "Sentiment: negative, not: positive", "If kind: positive",
        "Sentiment: negative\nOther: positive",
    ],
)  # fmt: skip
def test_a_label_before_what_is_denied_or_offered_pays_nothing(text: str) -> None:
    assert correct(f"<answer>{text}</answer>", "positive") == correct_anywhere(text, "positive") == 0.0
