"""What goes wrong in a campaign, by name."""


class CampaignError(Exception):
    """Base of all errors of campaigns."""


class CampaignWrong(CampaignError):
    """The campaign can't be carried out as it was asked for."""


class RecommenderSilent(CampaignError):
    """No recommendation came within the deadline."""


class RecommenderFailed(CampaignError):
    """The recommender said that it can't go on, and why."""
