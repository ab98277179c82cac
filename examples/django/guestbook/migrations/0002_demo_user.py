from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.db import migrations


def create(apps, schema_editor):
    user = apps.get_model(settings.AUTH_USER_MODEL)
    user.objects.create(username="demo", password=make_password("demo"))


def remove(apps, schema_editor):
    user = apps.get_model(settings.AUTH_USER_MODEL)
    user.objects.filter(username="demo").delete()


class Migration(migrations.Migration):
    """A user to try the site with. A real site would not want this migration."""

    dependencies = [
        ("guestbook", "0001_initial"),
        ("auth", "0012_alter_user_first_name_max_length"),  # its last: the table is complete
    ]
    operations = [migrations.RunPython(create, remove)]
