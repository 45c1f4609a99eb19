"""All skills of the small world, by name."""

from datagen.tiny.skill import Skill
from datagen.tiny.skills import facts, lists, numbers, stories, writing

SKILLS: dict[str, Skill] = {
    skill.name: skill for module in (facts, lists, numbers, stories, writing) for skill in module.SKILLS
}
